"""Exports a base and an adapter as one quantised GGUF, and verifies each adapted layer."""

from __future__ import annotations

import contextlib
import errno
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder import disk, progress
from builder.command import command
from builder.errors import ToolError
from builder.gguf.quantisation import DEFAULT, Quantisation

if TYPE_CHECKING:
    from builder.gguf.convert import Converter

CLEAN = f"free some disk, or run `{command('clean')}` on personas you no longer build"
# Also for SentencePiece models (Gemma, Mistral) and the vocabularies of older tokenizers.
TOKENIZER_FILES = ("*.json", "*.txt", "tokenizer.model")


@dataclass(frozen=True)
class Exported:
    """The hash of an exported file, and what it lacks."""

    sha256: str
    left_out: tuple[str, ...]
    """The parts of the base that are not in it, such as `vision_tower`."""


def export(
    base: Path,
    adapter: Path | None,
    out: Path,
    *,
    tokenizer: Path,
    chat_template: str,
    metadata: dict[str, str],
    quantisation: Quantisation = DEFAULT,
    base_name: str | None = None,
) -> Exported:
    """Write the quantised GGUF of a base, with an adapter merged in if there is one.

    Args:
        base: A folder with the base's 16-bit safetensors and config.
        adapter: A folder in PEFT's format, or None for the base alone.
        out: The GGUF to write; temporary files beside it are removed.
        tokenizer: A folder with the base's tokenizer.
        chat_template: The trained chat template, which goes into the file.
        metadata: `general.*` keys.
        quantisation: The quantisation.
        base_name: The name of the base, for messages; the folder by default.

    Raises:
        ToolError: There is too little room on the disk, the adapter does not fit the base, the
            converter does not know the base, or the quantiser refused.
        GateError: The change of a layer is not in the file as it was trained.

    """
    from builder.gguf import convert, layer_shares, merge, writer  # noqa: PLC0415 — import torch

    need_bytes = quantisation.count_room_bytes(_measure(base))
    disk.check_room(out.parent, need_bytes, "the export", hint=CLEAN)
    checkpoint = out.with_name("checkpoint")
    changes = {} if adapter is None else merge.read_changes(adapter)
    with _using_one_thread(), explain_full_disk(out.parent):
        link_checkpoint(base, tokenizer, chat_template, checkpoint)
        progress.report("reads the tokenizer")
        converter = convert.Converter(
            checkpoint, out, base_name=base_name or str(base), metadata=metadata
        )
        if adapter is not None:
            converter.add(changes, adapter)
        tensors = writer.plan(converter, out, quantisation)
        with layer_shares.Measurement(base, changes, converter) as measurement:
            sha256 = writer.write(converter, tensors, out, quantisation, measurement.sample)
            progress.report("looks for each adapted layer in it")
            shares = measurement.finish()
        shutil.rmtree(checkpoint)
        layer_shares.check(shares, changes)
    return Exported(sha256, _list_left_out(base, converter))


@contextlib.contextmanager
def _using_one_thread() -> Iterator[None]:
    """Let torch compute each tensor in one thread, as several are computed at a time.

    The threads of one tensor would spend more time waiting for each other and for the quantiser
    than computing.
    """
    import torch  # noqa: PLC0415 — takes seconds

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _measure(base: Path) -> int:
    """Add up the sizes of a base's weights."""
    return sum(file.stat().st_size for file in base.glob("*.safetensors"))


@contextlib.contextmanager
def explain_full_disk(folder: Path) -> Iterator[None]:
    """Turn the errors of a full disk into one sentence.

    Raises:
        ToolError: The disk is full.

    """
    try:
        yield
    except Exception as error:
        is_full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        # safetensors has its own error: "I/O error: No space left on device".
        if is_full or "No space left on device" in str(error):
            raise ToolError(
                f"{folder}: the disk became full during the export, expected room for it",
                hint=CLEAN,
            ) from None
        raise


def link_checkpoint(base: Path, tokenizer: Path, chat_template: str, out: Path) -> None:
    """Make a folder of links to the base's weights, with config, tokenizer and chat template."""
    out.mkdir()
    for shard in base.glob("*.safetensors"):
        (out / shard.name).symlink_to(shard.resolve())
    write_small_files(base, tokenizer, chat_template, out)


def write_small_files(base: Path, tokenizer: Path, chat_template: str, out: Path) -> None:
    """Write config and tokenizer beside the weights, with the trained chat template only."""
    small = [base / "model.safetensors.index.json", *base.glob("*.json")]
    small += [file for pattern in TOKENIZER_FILES for file in tokenizer.glob(pattern)]
    for file in small:
        is_foreign_index = file.name == "model.safetensors.index.json" and file.parent != base
        if file.is_file() and file.name != "base.json" and not is_foreign_index:
            shutil.copyfile(file, out / file.name)
    config_path = out / "tokenizer_config.json"
    config = json.loads(config_path.read_text("utf-8"))
    config.pop("chat_template", None)
    config_path.write_text(json.dumps(config), "utf-8")
    (out / "chat_template.jinja").write_text(chat_template, "utf-8")


def _list_left_out(base: Path, converter: Converter) -> tuple[str, ...]:
    """List the parts of the checkpoint that the converter left out, such as `vision_tower`."""
    from safetensors import safe_open  # noqa: PLC0415 — imports numpy

    from builder.gguf.merge import WRAPPERS  # noqa: PLC0415 — imports torch

    left_out = set()
    for shard in base.glob("*.safetensors"):
        with safe_open(shard, framework="np") as file:
            for name in file.keys():  # noqa: SIM118 — not a mapping
                if not converter.takes(name):
                    left_out.add(next(part for part in name.split(".") if part not in WRAPPERS))
    return tuple(sorted(left_out))
