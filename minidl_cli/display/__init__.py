"""What the user sees: progress, tables, figures."""
