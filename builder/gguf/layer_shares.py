"""Checks for each layer that the exported file contains the trained change.

Answers do not show this if quantisation errors are larger than the change of one layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from safetensors import safe_open

from builder.errors import GateError
from builder.gguf.convert import Converter, Tensor
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


class Measurement:
    """Measures each adapted layer while the file is written; use it as a context manager.

    The change in the file is projected onto the trained change:
    <file - base, change> / <change, change>.

    Args:
        base: A folder with the base's 16-bit safetensors.
        changes: The trained change of each layer.
        converter: The converter that writes the file, to find the rows of a layer.
        tensors: The tensors of the file.

    """

    def __init__(
        self,
        base: Path,
        changes: Mapping[str, Change],
        converter: Converter,
        tensors: Iterable[Tensor],
    ) -> None:
        self._changes, self._converter = changes, converter
        self._sources = {
            name_layer(name): name for name in converter.sources if name.endswith(".weight")
        }
        self._samples = {tensor.name: Future[np.ndarray[Any, Any]]() for tensor in tensors}
        self._threads = ThreadPoolExecutor(AT_ONCE)
        self._measured = [
            self._threads.submit(self._measure, shard, name, layer)
            for shard, name, layer in self._list_layers(base)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for waiting in self._samples.values():
            waiting.cancel()  # of a file that was not written to the end
        self._threads.shutdown(cancel_futures=True)

    def watch(self, name: str, values: np.ndarray[Any, Any]) -> None:
        """Sample rows of a tensor of the file, before it is quantised.

        Quantising may rightly round a small change away: the embedded base was 4-bit once, and 16
        of its 210 layers lie on the quantiser's grid.
        """
        if self._changes:
            self._samples[name].set_result(values[_choose_rows(len(values))])

    def finish(self) -> list[LayerShare]:
        """Wait for the share of each layer, after the last tensor."""
        return [measured.result() for measured in self._measured]

    def _list_layers(self, base: Path) -> Iterator[tuple[Path, str, str]]:
        """List the adapted layers of the base: the file, the name of the weight, and the layer."""
        known = self._changes.keys() & self._sources.keys()
        for shard in sorted(base.glob("*.safetensors")):
            with safe_open(shard, framework="pt") as weights:
                for name in weights.keys():  # noqa: SIM118 — not a mapping
                    layer = name_layer(name)
                    if name.endswith(".weight") and layer in known:
                        yield shard, name, layer

    def _measure(self, shard: Path, name: str, layer: str) -> LayerShare:
        with safe_open(shard, framework="pt") as weights:
            weight = weights.get_tensor(name).float()
        source, change = self._sources[layer], self._changes[layer].compute()
        pairs = _pair(self._converter, source, weight, change)
        return _project(
            layer, [(self._samples[key].result(), *pair) for key, pair in pairs.items()]
        )


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
        *(f"fidelity: {layer}: is not in the file, expected it" for layer in missing[:SHOWN]),
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
