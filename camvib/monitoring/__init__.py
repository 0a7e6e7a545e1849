"""The batch: new recordings → diagnoses in the ledger, exactly once; and the baselines of the assets.

Imports diagnosis, model and what is below; it knows no report.
"""
