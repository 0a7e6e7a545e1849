"""What is deployed: image, network, calibration and description in one folder, and as ONNX.

Imports networks, images, recordings and what is below.
"""
