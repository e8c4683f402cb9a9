"""The record stage: what the trained model says in memory, for the file to be compared with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder import manifest
from builder.bases import base
from builder.data import dataset
from builder.data.template import Template
from builder.engine import stage
from builder.engine.stage import File, Tree, Work, not_compared, shown_as
from builder.evaluation import answers, texts
from builder.gate_settings import Gates
from builder.project import Build

NAME, VERSION, WORKER = "record", 1, "builder.training.unsloth"
check = stage.nothing_to_check
health = stage.always_healthy
unavailable = stage.always_available
note = stage.nothing_to_note
