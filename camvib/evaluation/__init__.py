"""Protocols and scores: splits, trivial baselines, truth; what is judged comes from the rooms below."""
