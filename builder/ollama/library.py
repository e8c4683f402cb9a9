"""Imports the `ollama` distribution without settings from the environment.

Importing it makes a client (0.6.3), which reads OLLAMA_HOST, proxies and certificates: an invalid
setting, such as a SOCKS proxy without its package, would break every command.
"""

from __future__ import annotations

import os

HIDDEN = ("OLLAMA_HOST", "OLLAMA_API_KEY", "SSL_CERT_FILE", "SSL_CERT_DIR")
_hidden = {
    name: os.environ.pop(name)
    for name in list(os.environ)
    if name in HIDDEN or name.lower().endswith("_proxy")
}
try:
    import ollama
finally:
    os.environ.update(_hidden)

__all__ = ["ollama"]
