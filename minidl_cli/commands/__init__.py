"""The verbs, one file for each: parse, call, print."""
