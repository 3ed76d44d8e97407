"""Exports of a fitted network: to scikit-learn, ONNX and C, as text, and as a summary."""
