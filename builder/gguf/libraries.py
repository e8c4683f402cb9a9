"""The module that the export worker imports first: torch and the tokenizers.

The worker is started while earlier stages run.
"""

from __future__ import annotations

import os

# Large pages, if Linux has them: adding whole weights takes a third of the time.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

import torch  # noqa: F401 — after setting the environment
from transformers import AutoTokenizer  # noqa: F401 — takes seconds
