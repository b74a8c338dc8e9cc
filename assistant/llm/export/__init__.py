"""Writing of ONNX model directories: quantised, streamed, resumable."""
