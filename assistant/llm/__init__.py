"""The MiMo engine: from a checkpoint to an ONNX model, and from a prompt to tokens.

`checkpoint/` reads what others publish, `export/` writes ONNX model directories, `directory.py`
describes those; `decoder.py` runs them, `generate.py` makes text with drafts and grammars,
`engine.py` shares one model among those who ask. It knows nothing of the home.
"""
