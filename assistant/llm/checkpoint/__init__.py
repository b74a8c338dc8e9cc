"""Reading of what others publish: safetensors and GGUF, a few rows at a time, without torch."""
