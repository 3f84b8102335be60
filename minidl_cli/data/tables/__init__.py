"""Reading tables, and making of them what a network takes.

All of it needs polars, so datasets import it where they use it: those that draw their samples should start without.
"""
