"""The `[ollama]` table: what of it Ollama and a Modelfile can take."""

from __future__ import annotations

import difflib
import math
import re
from typing import Any

from builder import manifest
from builder.errors import ManifestError
from builder.ollama import releases

# Names and types of api.Options and api.Runner, github.com/ollama/ollama 0.34.2, api/types.go,
# but for typical_p.
PARAMETER_TYPES: dict[str, type] = {
    "num_ctx": int, "num_predict": int, "num_keep": int, "seed": int, "top_k": int,
    "repeat_last_n": int, "num_batch": int, "num_gpu": int, "main_gpu": int, "num_thread": int,
    "draft_num_predict": int, "use_mmap": bool, "temperature": float, "top_p": float,
    "min_p": float, "repeat_penalty": float, "presence_penalty": float,
    "frequency_penalty": float, "stop": list,
}  # fmt: skip
# The least and the greatest that mean something; more context than any model has is a slip.
RANGES: dict[str, tuple[float, float]] = {
    "num_ctx": (256, 1 << 20), "num_predict": (-1, 1 << 20), "temperature": (0, 100),
    "top_p": (0, 1), "min_p": (0, 1), "repeat_penalty": (0.01, 100), "top_k": (0, 1 << 20),
}  # fmt: skip
EXPECTED = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list of texts",
}
# What the families people use have for special tokens: ChatML, Llama, Gemma, Mistral, DeepSeek.
SPECIAL_TOKEN = re.compile(
    r"<\|[^|<>]+\|>|<\|\w+>|<\w+\|>|<｜[^｜<>]+｜>"
    r"|<(?:start|end)_of_turn>|</?s>|<(?:bos|eos|pad|unk)>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"
)


def check(ollama: manifest.Ollama, place: str) -> None:
    """Check the parameters, the system text and the licence.

    Args:
        ollama: The manifest's `[ollama]`.
        place: The manifest's path, for the messages.

    Raises:
        ManifestError: Ollama or a Modelfile cannot take it; all of it at once.

    """
    where = f"{place}: ollama"
    problems = []
    for key, value in ollama.parameters.items():
        problems += _find_in_parameter(f"{where}.parameters.{key}", key, value)
    problems += _find_ends(f"{where}.system", ollama.system or "")
    problems += _find_special_tokens(f"{where}.system", ollama.system or "", None)
    problems += _find_ends(f"{where}.license", ollama.license or "")
    if problems:
        raise ManifestError(*problems)


def check_eos(system: str, eos: str) -> None:
    """Check that the system text does not hold the base's EOS, once that is known.

    Raises:
        ManifestError: It does; every such line.

    """
    if problems := _find_special_tokens("persona.toml: ollama.system", system, eos):
        raise ManifestError(*problems)


def _find_in_parameter(where: str, key: str, value: Any) -> list[str]:
    kind = PARAMETER_TYPES.get(key)
    if key == "typical_p":
        refused = releases.NO_TYPICAL_P
        return [f"{where}: Ollama {refused.version} {refused.what}, expected it not to be set"]
    if kind is None:
        close = difflib.get_close_matches(key, PARAMETER_TYPES, 1)
        known = ", ".join(sorted(PARAMETER_TYPES))
        advice = f"; did you mean '{close[0]}'?" if close else ""
        return [f"{where}: unknown to Ollama, expected one of {known}{advice}"]
    if not _fits(value, kind):
        shown = repr(value) if isinstance(value, str | list) else value
        return [f"{where}: is {shown}, expected {EXPECTED[kind]}"]
    least, greatest = RANGES.get(key, (-math.inf, math.inf))
    if kind in (int, float) and not least <= value <= greatest:
        return [f"{where}: is {value}, expected {least:g} to {greatest:g}"]
    texts = value if kind is list else []
    return [problem for text in texts for problem in _find_ends(where, text)]


def _fits(value: Any, kind: type) -> bool:
    if kind is list:
        return isinstance(value, list) and all(isinstance(item, str) and item for item in value)
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    is_number = isinstance(value, float) and math.isfinite(value) and kind is float
    return is_number or isinstance(value, int)


def _find_ends(where: str, text: str) -> list[str]:
    """Find the lines at which a value in triple quotes would end."""
    what = 'ends with """, which ends the value in a Modelfile; expected something after the """'
    ends = (number for number, line in _number_lines(text) if line.rstrip().endswith('"""'))
    return [f"{where}: line {number} {what}" for number in ends]


def _find_special_tokens(where: str, text: str, eos: str | None) -> list[str]:
    problems = []
    for number, line in _number_lines(text):
        found = SPECIAL_TOKEN.search(line)
        token = found[0] if found else eos
        if token and token in line:
            what = f"line {number} holds the special token {token!r}, expected plain text"
            problems.append(f"{where}: {what}")
    return problems


def _number_lines(text: str) -> list[tuple[int, str]]:
    # Ollama's parser looks for the end of a value at either character.
    return list(enumerate(re.split(r"\r\n|\r|\n", text), start=1))
