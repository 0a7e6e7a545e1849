"""Labelled folder → model folder: splits, windows, training, scores.

Imports augmentation, diagnosis, model, simulation and what is below; it knows neither MLflow nor Prefect.
"""
