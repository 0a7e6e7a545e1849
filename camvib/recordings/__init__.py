"""Folder → recordings with labels, groups and quality: catalog, entries, checks, resampling.

Imports readers and what is below.
"""
