"""Checks that Ollama and a Modelfile can take the `[ollama]` table."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.bases import families
from builder.errors import ManifestError
from builder.escapes import quote
from builder.manifest import manifest, toml
from builder.ollama import releases
from builder.tables import tell_first
from builder.words import suggest

# The names and types of api.Options and api.Runner, except for typical_p
# (github.com/ollama/ollama 0.34.2, api/types.go).
PARAMETER_TYPES: dict[str, type] = {
    "num_ctx": int, "num_predict": int, "num_keep": int, "seed": int, "top_k": int,
    "repeat_last_n": int, "num_batch": int, "num_gpu": int, "main_gpu": int, "num_thread": int,
    "draft_num_predict": int, "use_mmap": bool, "temperature": float, "top_p": float,
    "min_p": float, "repeat_penalty": float, "presence_penalty": float,
    "frequency_penalty": float, "stop": list,
}  # fmt: skip
# The smallest and largest sensible values; no model has a longer context.
RANGES: dict[str, tuple[float, float]] = {
    "num_ctx": (256, 1 << 20), "num_predict": (-1, 1 << 20), "temperature": (0, 100),
    "top_p": (0, 1), "min_p": (0, 1), "repeat_penalty": (0.01, 100), "top_k": (0, 1 << 20),
    "seed": (-1, (1 << 32) - 1),
}  # fmt: skip
# For the others: the range of llama.cpp's 32 bits, and penalties far beyond sensible ones.
DEFAULT_RANGES: dict[type, tuple[float, float]] = {
    int: (-(1 << 31), (1 << 31) - 1), float: (-100, 100), bool: (0, 1),
}  # fmt: skip
# The room for an answer, unless `smoke.max_tokens` sets it.
LEAST_ANSWER_TOKENS = 192
EXPECTED = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list of texts",
}
# The special tokens of common families: ChatML, Llama, Gemma, Mistral, DeepSeek.
SPECIAL_TOKEN = re.compile(
    r"<\|[^|<>]+\|>|<\|\w+>|<\w+\|>|<｜[^｜<>]+｜>"
    r"|<(?:start|end)_of_turn>|</?s>|<(?:bos|eos|pad|unk)>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"
)
# Gives the place of a key, given its tables and its name.
FindPlace = Callable[..., str]


def check(read: manifest.Manifest, path: Path) -> None:
    """Check the parameters, the system text and the licence.

    Args:
        read: The manifest.
        path: Its file, for the lines in messages.

    Raises:
        ManifestError: Ollama or a Modelfile cannot take it; it has all mistakes.

    """
    ollama = read.ollama
    mistakes = _find_mistakes(ollama.parameters, ollama.system or "", ollama.license or "")
    mistakes += [] if mistakes else _find_little_context(read)
    if mistakes:
        raise ManifestError(*_tell_all(toml.read(path), mistakes))


def find_problems(document: toml.Document) -> list[str]:
    """Find the mistakes of `check` in a manifest that may have other mistakes too.

    Args:
        document: The manifest's file; values of a wrong type are skipped.

    """
    table = document.table.get("ollama")
    ollama = table if isinstance(table, dict) else {}
    parameters = ollama.get("parameters")
    system, license_ = (
        text if isinstance(text := ollama.get(key), str) else "" for key in ("system", "license")
    )
    known = parameters if isinstance(parameters, dict) else {}
    return _tell_all(document, _find_mistakes(known, system, license_))


@dataclass(frozen=True)
class Mistake:
    """A mistake at a key of `[ollama]`."""

    location: toml.Location
    sentence: str | None
    """None if Ollama has no such parameter."""


def _find_mistakes(parameters: dict[str, Any], system: str, license_: str) -> list[Mistake]:
    unknown = [key for key in parameters if key not in PARAMETER_TYPES]
    mistakes = [Mistake(("parameters", key), None) for key in unknown]
    for key, value in parameters.items():
        if key in PARAMETER_TYPES:
            mistakes += [Mistake(("parameters", key), text) for text in _find_in_value(key, value)]
    mistakes += [Mistake(("system",), text) for text in _find_in_system(system, None)]
    return mistakes + [Mistake(("license",), text) for text in _find_ends(license_)]


def _tell_all(document: toml.Document, mistakes: list[Mistake]) -> list[str]:
    return tell_first(mistakes, lambda mistake: _tell(document, mistake))


def _tell(document: toml.Document, mistake: Mistake) -> str:
    where = document.where(("ollama", *mistake.location))
    if mistake.sentence is not None:
        return f"{where}: {mistake.sentence}"
    key = str(mistake.location[-1])
    if key == "typical_p":
        refused = releases.NO_TYPICAL_P
        return f"{where}: Ollama {refused.version} {refused.what}, expected it not to be set"
    known = ", ".join(sorted(PARAMETER_TYPES))
    advice = suggest(key, PARAMETER_TYPES)
    return f"{where}: unknown to Ollama, expected one of {known}{advice}"


def _find_little_context(read: manifest.Manifest) -> list[Mistake]:
    """Find a context that is too short for the longest question of `[smoke]` and an answer.

    The number of tokens depends on the base, but is at least the number of words.
    """
    parameters = {**families.COMMON_PARAMETERS, **read.ollama.parameters}
    asked = max((len(question.ask.split()) for question in read.smoke.questions), default=0)
    system = len((read.ollama.system or "").split())
    answer = read.smoke.max_tokens or LEAST_ANSWER_TOKENS
    if parameters["num_ctx"] >= asked + system + answer:
        return []
    parts = f"{asked} words of the longest smoke question, {system} of the system text"
    what = f"is {parameters['num_ctx']}, expected at least {asked + system + answer}"
    sentence = f"{what}: {parts} and {answer} tokens of an answer"
    return [Mistake(("parameters", "num_ctx"), sentence)]


def check_eos(system: str, eos: str, find_place: FindPlace) -> None:
    """Check that the system text does not hold the base's EOS.

    Args:
        system: The system text.
        eos: The text of the EOS token.
        find_place: Gives the place of a key in the manifest.

    Raises:
        ManifestError: It does; the error has all such lines.

    """
    if problems := _find_special_tokens(system, eos):
        where = find_place("ollama", "system")
        raise ManifestError(*(f"{where}: {problem}" for problem in problems))


def _find_in_value(key: str, value: Any) -> list[str]:
    kind = PARAMETER_TYPES[key]
    if not _fits(value, kind):
        return [f"is {quote(value)}, expected {EXPECTED[kind]}"]
    if kind is list:
        zeros = ["contains the character U+0000, expected text"] if "\0" in "".join(value) else []
        return [*zeros, *(problem for text in value for problem in _find_ends(text))]
    least, greatest = RANGES.get(key, DEFAULT_RANGES[kind])
    if not least <= value <= greatest:
        return [f"is {quote(value)}, expected {least} to {greatest}"]
    return []


def _fits(value: Any, kind: type) -> bool:
    if kind is list:
        return isinstance(value, list) and all(isinstance(item, str) and item for item in value)
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    is_number = isinstance(value, float) and math.isfinite(value) and kind is float
    return is_number or isinstance(value, int)


def _find_ends(text: str) -> list[str]:
    """Find lines that would end a value in triple quotes."""
    what = 'ends with """, which ends the value in a Modelfile; expected something after the """'
    ends = (number for number, line in _number_lines(text) if line.rstrip().endswith('"""'))
    return [f"line {number} {what}" for number in ends]


def _find_in_system(text: str, eos: str | None) -> list[str]:
    return [*_find_ends(text), *_find_special_tokens(text, eos)]


def _find_special_tokens(text: str, eos: str | None) -> list[str]:
    problems = []
    for number, line in _number_lines(text):
        found = SPECIAL_TOKEN.search(line)
        token = found[0] if found else eos
        if token and token in line:
            problems.append(
                f"line {number} contains the special token {quote(token)}, expected plain text"
            )
    return problems


def _number_lines(text: str) -> list[tuple[int, str]]:
    # In Ollama's parser both characters end a line.
    return list(enumerate(re.split(r"\r\n|\r|\n", text), start=1))
