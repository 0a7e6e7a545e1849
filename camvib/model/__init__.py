"""The deployed thing: waveform in, logits and maps out, calibrated, in a folder without pickle or as one ONNX file."""
