"""Labelled folder → model folder: splits, windows, training, scores.

Imports diagnosis, augmentation, model and what is below; it knows neither MLflow nor Prefect.
"""
