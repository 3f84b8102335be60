"""From the text of a YAML file to a validated `Config`, every error with its place."""
