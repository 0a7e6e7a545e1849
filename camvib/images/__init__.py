"""Waveform → the image that a network sees, with axes in hertz and seconds.

An image is one file here, with a class ``LAYER`` that keeps `camvib.images.layer.ImageLayer`; `ImageSettings.kind` is
its name. Imports readers' records and settings, and nothing above.
"""
