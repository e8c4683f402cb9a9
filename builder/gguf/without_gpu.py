"""Imports torch without a GPU, whose memory an export does not need: the export worker's module."""

from __future__ import annotations

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""

import torch  # noqa: F401 — after what it reads from the environment
