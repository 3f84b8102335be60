"""The distributions of initial values. A file's name is the initializer's name in YAML."""
