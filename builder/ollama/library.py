"""The `ollama` distribution, imported with nothing of the environment.

It makes a client when it is imported (0.6.3), which reads OLLAMA_HOST, proxies and certificates:
one that is none, as a SOCKS proxy without its package, would end every command.
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
