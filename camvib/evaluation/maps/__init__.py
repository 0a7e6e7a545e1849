"""Are the maps right? Scores against simulated and measured truth, beside every trivial map."""
