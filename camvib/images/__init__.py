"""Waveform → image, and what images say when they are compared."""
