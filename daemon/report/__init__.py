"""The run report: one self-contained page that says what became of a run, for people."""
