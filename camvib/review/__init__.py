"""The ledger as a page with buttons: what a finding is drawn from, answers, labels, the desk.

Imports monitoring, report, diagnosis, model, recordings and what is below; it knows no MLflow and no flow.
"""
