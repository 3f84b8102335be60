"""The layers. A file's name is the layer's name in YAML."""
