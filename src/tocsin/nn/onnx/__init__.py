"""Networks as ONNX models: written from torch, run by onnxruntime without it."""
