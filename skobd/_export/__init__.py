"""How a fitted network leaves: to scikit-learn, ONNX, C, or as a summary."""
