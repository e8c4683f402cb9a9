"""Gate parity: a prompt has the same tokens in training, in the file, and in the daemon.

It compares prompts and asks no questions, so it is not a `builder.evaluation.gate.Gate`: the parity
stage and `builder.ollama.verification` call it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import progress
from builder.bases.chat_template import UNRENDERABLE
from builder.data.template import Template
from builder.errors import GateError
from builder.gates import shapes
from builder.gates.shapes import Shape
from builder.llama import Model

SCHEMA = 1
AROUND = 5
# Normal tokens of some vocabularies (Qwen's) that llama.cpp turns into control tokens because of
# their text: src/llama-vocab.cpp of llama-cpp-python 0.3.36, "control-looking token".
LLAMA_CPP_CONTROLS = ("</s>",)
NOT_RENDERED = "the base's chat template does not render it"
CAUSES = (
    "a TEMPLATE that is ignored, a second BOS, one newline more or less, or stripped whitespace"
)


@dataclass(frozen=True)
class Prompt:
    """A prompt as one engine renders it: its text and its ids."""

    where: str
    text: str
    ids: list[int]


def compare_file(gguf: Path, template: Template, own: Sequence[Shape]) -> list[dict[str, Any]]:
    """Compare the prompts of a file with the trained ones, for every shape.

    Args:
        gguf: The file.
        template: The trained chat template and tokenizer.
        own: Further shapes, from the persona's own rows.

    Returns:
        For each shape, its name and the result of `compare`.

    Raises:
        GateError: A prompt differs from the trained one, or the file would not stop.

    """
    progress.report("loads the file")
    model = Model(gguf)
    _check_facts(gguf, model, template)
    rows, every = [], [*shapes.list_shapes(template.jinja), *own]
    for number, shape in enumerate(every):
        progress.report("compares prompts", number, len(every), "shapes")
        try:
            text = template.render(shape.messages, shape.tools)
        except UNRENDERABLE:
            rows.append({"shape": shape.name, **tell_not_rendered("the file")})
            continue
        trained = Prompt("trained", text, template.tokenize(text))
        split = Prompt("trained, split", text, _tokenize_split(template, text))
        served = model.render(shape.messages, shape.tools)
        other = Prompt("the file", served, model.tokenize(served))
        found = compare(shape, trained, other, model.decode, split=split)
        rows.append({"shape": shape.name, **found})
    return rows


def tell_not_rendered(where: str) -> dict[str, Any]:
    """Give the figures of a shape that the base's chat template cannot render."""
    figures = {"where": where, "tokens": 0, "trained_tokens": 0, "same_ids": False}
    return {**figures, "known_difference": NOT_RENDERED}


def _tokenize_split(template: Template, text: str) -> list[int]:
    """Tokenize a text as if the `LLAMA_CPP_CONTROLS` in its vocabulary were special tokens."""
    vocabulary = template.tokenizer.get_vocab()
    known = {token: vocabulary[token] for token in LLAMA_CPP_CONTROLS if token in vocabulary}
    parts = re.split("|".join(map(re.escape, known)) or r"(?!)", text)
    found = re.findall("|".join(map(re.escape, known)) or r"(?!)", text)
    ids = template.tokenize(parts[0])
    for token, part in zip(found, parts[1:], strict=True):
        ids += [known[token], *template.tokenize(part)]
    return ids


def _check_facts(gguf: Path, model: Model, template: Template) -> None:
    """Check the chat template, EOS and BOS of the file."""
    problems = []
    if model.facts.get("tokenizer.chat_template") != template.jinja:
        problems.append(f"parity: {gguf}: has another chat template, expected the trained one")
    if model.eos != template.tokenizer.eos_token_id:
        eos = model.decode([model.eos])
        what = f"ends with {eos!r}, expected {template.eos!r}: it would not stop"
        problems.append(f"parity: {gguf}: {what}")
    if model.adds_bos != template.adds_bos:
        what = f"says that a BOS is {'added' if model.adds_bos else 'left off'}"
        expected = "expected as in training: it would appear twice or be missing"
        problems.append(f"parity: {gguf}: {what}, {expected}")
    if problems:
        raise GateError(*problems, hint="build again; if it stays so, the export is at fault")


def compare(
    shape: Shape,
    trained: Prompt,
    other: Prompt,
    decode: Callable[[list[int]], str],
    *,
    merged: Prompt | None = None,
    split: Prompt | None = None,
) -> dict[str, Any]:
    """Compare an engine's prompt with the trained one.

    Args:
        shape: The conversation.
        trained: The prompt in training.
        other: The engine's prompt.
        decode: Turns ids into text, for the message.
        merged: The prompt in training with neighbouring messages of one role merged.
        split: The prompt in training with the `LLAMA_CPP_CONTROLS` as special tokens.

    Returns:
        The number of tokens on both sides, whether they are the same, and the name of the known
        difference if they are not.

    Raises:
        GateError: They differ, and by no known difference.

    """
    figures = {
        "where": other.where,
        "tokens": len(other.ids),
        "trained_tokens": len(trained.ids),
        "same_ids": trained.ids == other.ids,
    }
    if trained.ids == other.ids:
        return figures
    if merged is not None and merged.ids == other.ids:
        return {**figures, "known_difference": "neighbouring messages of one role are merged"}
    if split is not None and split.ids == other.ids:
        tokens = " and ".join(LLAMA_CPP_CONTROLS)
        return {**figures, "known_difference": f"llama.cpp takes {tokens} for a token of its own"}
    at = next(
        (
            i
            for i, pair in enumerate(zip(trained.ids, other.ids, strict=False))
            if pair[0] != pair[1]
        ),
        min(len(trained.ids), len(other.ids)),
    )
    sides = [
        f"  {prompt.where:<22} {_excerpt(prompt.ids, at, decode)}" for prompt in (trained, other)
    ]
    raise GateError(
        f"parity: {shape.name!r}: {other.where} differs from training at token {at}, "
        "expected the same tokens",
        *sides,
        hint=f"the usual cause is {CAUSES}",
    )


def _excerpt(ids: list[int], at: int, decode: Callable[[list[int]], str]) -> str:
    return " ".join(
        f"{'»' if i == at else ''}{decode([ids[i]])!r}:{ids[i]}"
        for i in range(max(0, at - AROUND), min(len(ids), at + AROUND + 1))
    )
