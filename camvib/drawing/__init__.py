"""Images and signals as pictures for people: PNG, SVG paths, ticks.

Imports records only.
"""
