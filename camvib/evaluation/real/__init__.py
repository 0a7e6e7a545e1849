"""Are the verdicts right? Honest splits of measured recordings, beside every trivial classifier."""
