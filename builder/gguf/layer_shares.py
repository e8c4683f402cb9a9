"""Checks for each layer that the exported file contains the trained change.

Answers do not show this if quantisation errors are larger than the change of one layer.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from safetensors import safe_open

from builder.errors import GateError
from builder.gguf.convert import Converter
from builder.gguf.merge import Change, name_layer

if TYPE_CHECKING:
    import torch

SAMPLED_ROWS = 256
# How many layers are measured at a time, each in one thread: the largest needs some hundred MB.
AT_ONCE = 2
# How far a layer's share may be from 1: this much, or as far as rounding explains.
TOLERANCE, STANDARD_ERRORS = 0.15, 6.0
SHOWN = 3
# A change of fewer float16 steps than this may be rounded away or doubled, and is not judged. Two
# optimiser steps make such a change.
RESOLVED_STEPS = 4.0
FLOAT16_STEP = 2.0**-11


@dataclass(frozen=True)
class LayerShare:
    """How much of a layer's trained change is in the file: 1 is all, 0 none, 2 twice."""

    layer: str
    share: float
    standard_error: float
    steps: float
    """The size of the change, in float16 steps at the size of the weights."""

    @property
    def is_right(self) -> bool:
        """Whether the change is in the file, or too small to tell."""
        return self.steps < RESOLVED_STEPS or abs(self.share - 1) <= max(
            TOLERANCE, STANDARD_ERRORS * self.standard_error
        )


@dataclass(frozen=True)
class _Layer:
    """An adapted layer of the base."""

    name: str
    shard: Path
    weight: str
    """The name of its weight in the shard."""
    source: str
    """The converter's name of its weight."""
    targets: tuple[str, ...]
    """The tensors of the file that it becomes."""


class Measurement:
    """Measures each adapted layer while the file is written; use it as a context manager.

    The change in the file is projected onto the trained change:
    <file - base, change> / <change, change>.

    Args:
        base: A folder with the base's 16-bit safetensors.
        changes: The trained change of each layer.
        converter: The converter that writes the file, after `prepare`.

    """

    def __init__(self, base: Path, changes: Mapping[str, Change], converter: Converter) -> None:
        self._changes, self._converter = changes, converter
        self._layers = {
            target: layer
            for layer in _list_layers(base, changes, converter)
            for target in layer.targets
        }
        self._samples: dict[str, np.ndarray[Any, Any]] = {}
        self._measured: list[Future[LayerShare]] = []
        self._sampling = threading.Lock()

    def __enter__(self) -> Self:
        self._threads = ThreadPoolExecutor(AT_ONCE)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def sample(self, name: str, values: np.ndarray[Any, Any]) -> None:
        """Take rows of a tensor before it is quantised, and begin to measure a complete layer.

        Quantising may rightly round a small change away: the embedded base was 4-bit once, and 16
        of its 210 layers lie on the quantiser's grid.
        """
        layer = self._layers.get(name)
        if layer is None:
            return
        rows = values[_choose_rows(len(values))]
        with self._sampling:
            self._samples[name] = rows
            if self._samples.keys() >= set(layer.targets):
                samples = {target: self._samples.pop(target) for target in layer.targets}
                self._measured.append(self._threads.submit(self._measure, layer, samples))

    def finish(self) -> list[LayerShare]:
        """Wait for the share of each layer, after the last tensor."""
        return [measured.result() for measured in self._measured]

    def _measure(self, layer: _Layer, samples: dict[str, np.ndarray[Any, Any]]) -> LayerShare:
        with safe_open(layer.shard, framework="pt") as weights:
            weight = weights.get_tensor(layer.weight).float()
        change = self._changes[layer.name].compute()
        pairs = _pair(self._converter, layer.source, weight, change)
        return _project(layer.name, [(samples[target], *pair) for target, pair in pairs.items()])


def _list_layers(
    base: Path, changes: Mapping[str, Change], converter: Converter
) -> Iterator[_Layer]:
    sources = {name_layer(name): name for name in converter.targets if name.endswith(".weight")}
    for shard in sorted(base.glob("*.safetensors")):
        with safe_open(shard, framework="pt") as weights:
            for weight in weights.keys():  # noqa: SIM118 — not a mapping
                name = name_layer(weight)
                if weight.endswith(".weight") and name in changes.keys() & sources.keys():
                    source = sources[name]
                    targets = tuple(converter.targets[source])
                    yield _Layer(name, shard, weight, source, targets)


def _choose_rows(count: int) -> np.ndarray[Any, Any]:
    return np.linspace(0, count - 1, min(SAMPLED_ROWS, count)).astype(int)


def check(shares: list[LayerShare], expected: Iterable[str]) -> None:
    """Refuse a file in which the change of a layer is missing, or is there more than once.

    Args:
        shares: The share of each layer that was found.
        expected: The adapted layers.

    Raises:
        GateError: It names the layers that are furthest off.

    """
    missing = sorted(set(expected) - {share.layer for share in shares})
    wrong = sorted(
        (share for share in shares if not share.is_right), key=lambda share: -abs(share.share - 1)
    )
    if not wrong and not missing:
        return
    total = len(set(expected))
    problems = [
        (
            f"fidelity: {total - len(wrong) - len(missing)} of {total} adapted layers are in the "
            "file as trained, expected all"
        ),
        *(
            f"fidelity: {share.layer}: {share.share:.2f} of what was trained is in the file, "
            "expected 1"
            for share in wrong[:SHOWN]
        ),
        *(
            f"fidelity: {layer}: is not in the file, expected every adapted layer"
            for layer in missing[:SHOWN]
        ),
    ]
    raise GateError(
        *problems, hint="the export is at fault: build again, and report it if it stays so"
    )


def _pair(
    converter: Converter, name: str, weight: torch.Tensor, change: torch.Tensor
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Give the base's values and the change for each tensor that a weight becomes."""
    weights = dict(converter.transform(name, weight))
    changes = dict(converter.transform(name, change))
    return {key: (weights[key], changes[key]) for key in weights}


def _project(
    layer: str, tensors: Iterable[tuple[np.ndarray[Any, Any], torch.Tensor, torch.Tensor]]
) -> LayerShare:
    """Project over the sampled rows of each tensor that a layer becomes.

    Args:
        layer: The name of the layer.
        tensors: The sampled rows of the file, and the base's values and the change, each of shape
            (O, C), in the order of the file.

    """
    added, trained, before = [], [], []
    for written, weight, change in tensors:
        rows = _choose_rows(len(weight))
        old = weight[rows].numpy()
        added.append((written - old).ravel())
        trained.append(change[rows].numpy().ravel())
        before.append(old.ravel())
    seen, wanted, base = (np.concatenate(parts) for parts in (added, trained, before))
    size = float(wanted @ wanted)
    if not size:
        return LayerShare(layer, 1.0, 0.0, 0.0)
    share = float(seen @ wanted) / size
    noise = float(((seen - share * wanted) ** 2).mean())
    steps = math.sqrt(size / float(base @ base)) / FLOAT16_STEP
    return LayerShare(layer, share, math.sqrt(noise / size), steps)
