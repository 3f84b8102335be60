"""The compiled step: what the layers do to one round, recorded, translated to C and compiled."""
