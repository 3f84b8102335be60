"""The losses. A file's name is the loss's name in YAML."""
