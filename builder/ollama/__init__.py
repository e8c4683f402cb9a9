"""Ollama: the client of the daemon, the Modelfile, registration, and verification."""
