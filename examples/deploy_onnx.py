"""
A whole pipeline as ONNX
========================

Scaler and pruned network leave Python as one ONNX model, which onnxruntime runs anywhere.

Needs skl2onnx and onnxruntime: ``pip install "skobd[onnx]"``.
"""

# sphinx_gallery_thumbnail_path = '_static/thumb_onnx.png'
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skobd import OBDMLPClassifier, register_onnx_converters

try:
    import onnxruntime
    import skl2onnx
except ImportError:
    raise SystemExit('This example runs an ONNX model: pip install "skobd[onnx]"') from None

X, y = load_breast_cancer(return_X_y=True)
X = X.astype(np.float32)
mlp = OBDMLPClassifier(
    solver="lbfgs", alpha=1, granularity="unit", prune_fraction=0.9, max_iter=5000, random_state=0
)
pipeline = make_pipeline(StandardScaler(), mlp).fit(X, y)
print(mlp.summary())

register_onnx_converters()
model = skl2onnx.to_onnx(pipeline, X[:1], options={"zipmap": False})
session = onnxruntime.InferenceSession(
    model.SerializeToString(), providers=["CPUExecutionProvider"]
)
label, probabilities = session.run(None, {"X": X})
print(f"{model.ByteSize()} bytes of ONNX")
print("largest difference", np.abs(probabilities - pipeline.predict_proba(X)).max())
