"""The module that the export worker imports first: torch, hiding the GPU, and the tokenizers.

The worker is started while earlier stages run. An export needs no memory of the GPU.
"""

from __future__ import annotations

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""
# Large pages, if Linux has them: adding whole weights takes a third of the time.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

import torch  # noqa: F401 — after setting the environment
from transformers import AutoTokenizer  # noqa: F401 — takes seconds
