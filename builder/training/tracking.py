"""Logs losses and learning rates to TensorBoard, trackio or Weights & Biases.

transformers' own callbacks are not used, as trackio's publishes a Space when training ends.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from builder.command import has_recipes

Kind = Literal["tensorboard", "trackio", "wandb"]
# The modules for each kind: one must be installed, and the first is recommended.
MODULES: dict[Kind, tuple[str, ...]] = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}
PROJECT = "persona"
log = logging.getLogger("builder")


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where a training is logged to."""

    kind: Kind
    run: str
    """The name of the run."""
    folder: Path
    """The folder for TensorBoard's files."""


class Run(Protocol):
    """A run of a tracker."""

    def log(self, values: dict[str, float], step: int) -> None:
        """Log the values of a step."""
        ...

    def finish(self) -> None:
        """Send what is buffered."""
        ...


class Tracker:
    """Logs the steps of one training; without a destination it does nothing.

    If logging fails, it warns once, and training continues without it.

    Args:
        destination: Where to log to.

    """

    def __init__(self, destination: Destination | None) -> None:
        self._run: Run | None = None
        self._kind = destination.kind if destination else ""
        if destination and not describe_missing(destination.kind):
            try:
                self._run = _start(destination)
            except Exception as error:  # noqa: BLE001 — whatever keeps a tracker from starting
                self._give_up(error)

    def log(self, step: int, losses: Sequence[float], rates: Sequence[float]) -> None:
        """Log losses and learning rates of consecutive steps.

        Args:
            step: The last of these steps, counted from 1.
            losses: The loss of each step.
            rates: The learning rate of each step.

        """
        if self._run is None:
            return
        first = step - len(losses) + 1
        try:
            for number, (loss, rate) in enumerate(zip(losses, rates, strict=True), start=first):
                self._run.log({"train/loss": loss, "train/learning_rate": rate}, number)
        except Exception as error:  # noqa: BLE001 — likewise
            self._give_up(error)

    def finish(self) -> None:
        """Send what is buffered."""
        if self._run is None:
            return
        try:
            self._run.finish()
        except Exception as error:  # noqa: BLE001 — likewise
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._run = None
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        log.warning("train: %s fails (%s); training goes on without it", self._kind, reason)


def describe_missing(kind: Kind) -> str | None:
    """Say what to install for a kind; None if it is installed."""
    names = MODULES[kind]
    if any(importlib.util.find_spec(name) for name in names):
        return None
    install = "uv pip install" if has_recipes() else "pip install"
    return (
        f"training.report_to: {names[0]} is not installed, so that nothing is sent to it; "
        f"install it: {install} {names[0]}"
    )


def _start(destination: Destination) -> Run:
    match destination.kind:
        case "tensorboard":
            return _TensorBoard(destination.folder)
        case "trackio":
            import trackio  # noqa: PLC0415 — where it is wanted

            trackio.init(project=PROJECT, name=destination.run)
            return _Module(trackio)
        case "wandb":
            import wandb  # noqa: PLC0415 — where it is wanted

            return _Module(wandb.init(project=PROJECT, name=destination.run))


class _TensorBoard:
    def __init__(self, folder: Path) -> None:
        has_tensorboard = importlib.util.find_spec("tensorboard") is not None
        module = "torch.utils.tensorboard" if has_tensorboard else "tensorboardX"
        self.writer: Any = importlib.import_module(module).SummaryWriter(str(folder))

    def log(self, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def finish(self) -> None:
        self.writer.close()


class _Module:
    """A run with the interface of trackio and W&B."""

    def __init__(self, run: Any) -> None:
        self.run = run

    def log(self, values: dict[str, float], step: int) -> None:
        self.run.log(values, step=step)

    def finish(self) -> None:
        self.run.finish()
