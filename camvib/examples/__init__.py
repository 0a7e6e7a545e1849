"""Worked examples that run with the library's own parts."""
