"""Class maps → evidence and verdict: contrast, regions, their names, and the verdict with its reason.

Imports model, images, recordings and what is below; it knows no ledger and no report.
"""
