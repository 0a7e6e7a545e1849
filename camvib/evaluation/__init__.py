"""Protocols and scores: splits, truth, trivial classifiers and maps; what is judged comes from the rooms below."""
