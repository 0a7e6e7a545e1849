"""Class maps → evidence and verdict: contrast, regions, their names, and the verdict with its reason.

Imports model, simulation (the modes of a beam), images, recordings and what is below; it knows no ledger and no report.
"""
