"""How fast minidl is, beside others and beside itself: `python -m benchmarks`, from the repository's root."""
