"""A worker's module that cannot be imported, as Unsloth where a driver is broken."""

import os

if os.environ.get("BROKEN_IMPORT") == "memory":
    msg = "CUDA out of memory. Tried to allocate 2.00 MiB"
    raise RuntimeError(msg)
msg = "no such driver"
raise ImportError(msg)
