"""Runs, versions and the gate of releases: the only room that knows MLflow.

Imports learning, model and what is below.
"""
