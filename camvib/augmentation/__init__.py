"""Changes to training examples that keep the physics: gain, noise, floors, hum, made-up faults.

Imports images, settings and what is below; it knows no training.
"""
