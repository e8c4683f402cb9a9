"""The base itself as a quantised GGUF, which is asked the same questions as its personas."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from builder import files, progress
from builder.bases import embedded, fetch
from builder.bases.base import Base

if TYPE_CHECKING:
    from builder.llama import Answer


def find(chosen: Base) -> Path | None:
    """Find the file; None if it was never made on this machine."""
    if chosen.kind == "embedded":
        return embedded.find_package()
    path = cache_path(chosen)
    return path if path.is_file() else None


def cache_path(chosen: Base) -> Path:
    """Give the path at which the file is cached for all personas."""
    name = chosen.source.strip("/").replace("/", "--")
    return files.cache_folder() / "controls" / f"{name}-{chosen.revision[:12]}.gguf"


def find_or_make(chosen: Base, tokenizer: Path, chat_template: str, scratch: Path) -> Path:
    """Find the file, or export it once for all personas.

    Args:
        chosen: The base.
        tokenizer: A folder with its tokenizer.
        chat_template: The chat template for the file.
        scratch: A folder with room for the export.

    """
    found = find(chosen)
    if found is not None:
        return found
    from builder.gguf.export import export  # noqa: PLC0415 — imports torch

    path, made = cache_path(chosen), scratch / "baseline.gguf"
    with files.waiting_for(path):
        if path.is_file():  # another build made it meanwhile
            return path
        export(
            fetch.find_weights(chosen),
            None,
            made,
            tokenizer=tokenizer,
            chat_template=chat_template,
            metadata={"general.name": chosen.source},
            base_name=chosen.source,
        )
        files.move(made, path)
    return path


def answer(
    file: Path, chat_template: str, conversations: Sequence[list[dict[str, str]]], max_tokens: int
) -> list[Answer]:
    """Answer conversations greedily with the file, one after the other."""
    from builder.llama import Model  # noqa: PLC0415 — only here

    progress.report("loads the base")
    model = Model(file, chat_template)
    answers = []
    for number, messages in enumerate(conversations):
        progress.report("asks the base", number, len(conversations), "questions")
        answers.append(model.ask(messages, max_tokens))
    return answers
