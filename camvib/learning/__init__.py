"""Labelled folder → model folder: splits, windows, the one training loop, candidates and the choice among them.

Knows neither Prefect nor MLflow. `camvib.learning.train.train` is the way in.
"""
