"""The module that Unsloth's worker imports first: it imports Unsloth before what that patches."""

from __future__ import annotations

from builder.training.environment import prepare

prepare()

import unsloth  # noqa: E402, F401 — after setting the environment
