"""Reading, writing and quantising GGUF files."""
