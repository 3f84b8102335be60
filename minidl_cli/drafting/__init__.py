"""Drafting configs: for a table of one's own, or from a dataset that is drawn."""
