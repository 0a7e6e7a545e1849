"""What several readers share: text, tables, clocks, names, blocks of samples.

Imports records, settings, units and errors.
"""
