"""The verdict of a build, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from builder.evaluation.report import Report
from builder.report.contents import Contents
from builder.report.texts import cut

MESSAGE_CHARACTERS = 600


@dataclass(frozen=True)
class Verdict:
    """What came of a build."""

    state: Literal["good", "weak", "bad"]
    word: str
    sentence: str


def judge(contents: Contents) -> Verdict:
    """Say what came of a build, and whether its model was registered."""
    found, stop = contents.found, contents.stop
    if found and contents.is_refused:
        failed = name_failed(found)
        what = f"{failed[0].upper()}{failed[1:]} failed. {_tell_registered(contents)}."
        return Verdict("bad", "Refused", what)
    if stop:
        message = cut(stop.message, MESSAGE_CHARACTERS)
        what = f"At {stop.stage}: {message}. {_tell_registered(contents)}."
        return Verdict("bad", "Stopped", what)
    if found is None:
        return Verdict("weak", "Not examined", "The file that is there was asked nothing yet.")
    if found.failed:
        failed = f"Although {name_failed(found)} failed"
        return Verdict(
            "weak", "Let through by --anyway", f"{failed}. {_tell_registered(contents)}."
        )
    return Verdict("good", "Passed", f"{_tell_passed(found)} {_tell_registered(contents)}.")


def _tell_passed(found: Report) -> str:
    passed = sum(gate.verdict == "pass" for gate in found.gates)
    parts = [f"{passed} gates passed"]
    if advised := sum(gate.verdict == "fail" for gate in found.gates):
        parts.append(f"{advised} failed, as advice alone")
    if unsure := sum(gate.verdict == "not enough evidence" for gate in found.gates):
        parts.append(f"{unsure} without enough evidence")
    return f"{', '.join(parts)}."


def _tell_registered(contents: Contents) -> str:
    model = contents.receipt.model if contents.receipt else None
    if contents.is_registered:
        return f"It is registered in Ollama as {model}"
    if model:
        return f"Nothing was registered; {model} in Ollama is of an earlier build"
    return "Nothing was registered in Ollama"


def name_failed(found: Report) -> str:
    """Name what stops the build, in words."""
    names = {"smoke": "an answer to the manifest's own questions"}
    return _join([names.get(gate, gate.replace("_", " ")) for gate in found.failed])


def _join(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
