"""How good is it? Splits that do not leak, classification figures, trivial baselines."""
