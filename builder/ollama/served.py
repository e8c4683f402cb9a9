"""Stub until merged."""

from builder.ollama.modelfile import Served


def decide(**_: object) -> Served:
    raise NotImplementedError
