"""Imports Unsloth, before the libraries that it patches: the worker's module of such stages."""

from __future__ import annotations

from builder.training.environment import prepare

prepare()

import unsloth  # noqa: E402, F401 — after what it reads from the environment
