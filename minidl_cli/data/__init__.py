"""The datasets. A file's name is the dataset's name in YAML."""
