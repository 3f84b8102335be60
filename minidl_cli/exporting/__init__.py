"""Trained rounds as files for other programs: plain PyTorch, and ONNX."""
