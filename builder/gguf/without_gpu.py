"""Imports torch without a GPU, whose memory an export does not need, and the tokenizers.

It is the module of the export worker, which starts while other stages run.
"""

from __future__ import annotations

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""
# Large pages, where Linux gives them: a sum of whole weights takes a third of the time.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

import torch  # noqa: F401 — after what it reads from the environment
from transformers import AutoTokenizer  # noqa: F401 — takes seconds
