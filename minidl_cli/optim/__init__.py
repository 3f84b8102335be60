"""The optimizers. A file's name is the optimizer's name in YAML."""
