"""Which rounds run where, and what becomes of them: a run folder."""
