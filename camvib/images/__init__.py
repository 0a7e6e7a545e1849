"""Waveform → image: spectrogram, envelope, their axes, the healthy baseline, the difference of two.

Imports records, settings and errors.
"""
