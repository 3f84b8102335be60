"""Ways to split a table. A file's name is the split's name in YAML."""
