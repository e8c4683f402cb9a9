"""The module that the export worker imports first: torch and the tokenizers.

The worker is started while earlier stages run.
"""

from __future__ import annotations

import os

from builder import machine

machine.select_gpu()
# Large pages, if Linux has them: adding whole weights takes a third of the time.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

import torch  # noqa: E402, F401 — after setting the environment
from transformers import AutoTokenizer  # noqa: E402, F401 — takes seconds
