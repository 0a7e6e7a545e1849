"""The cantilever and its healthy twin: beam, faults, excitation, time stepping, sensors, fleets.

Imports images, settings and errors.
"""
