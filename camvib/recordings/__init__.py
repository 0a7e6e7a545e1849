"""Folders of recordings, their labels, and the plant that they come from."""
