"""The verdict of a build, in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from builder.command import command
from builder.evaluation.report import Report
from builder.report.contents import Contents
from builder.report.texts import cut
from builder.words import join

MESSAGE_CHARACTERS = 600


@dataclass(frozen=True)
class Verdict:
    """The result of a build."""

    state: Literal["good", "weak", "bad"]
    word: str
    sentence: str


def judge(contents: Contents) -> Verdict:
    """Say how a build ended, and whether its model was registered."""
    found, stop = contents.found, contents.stop
    if found and contents.is_refused:
        failed = name_failed(found)
        what = f"{failed[0].upper()}{failed[1:]} failed. {_tell_gates(found)}"
        what += f" {_tell_registered(contents)}."
        return Verdict("bad", "Refused", what)
    if stop:
        message = cut(stop.message, MESSAGE_CHARACTERS)
        what = f"At {stop.stage}: {message}. {_tell_registered(contents)}."
        return Verdict("bad", "Stopped", what)
    if found is None:
        return _judge_unfinished(contents)
    if found.failed:
        failed = f"Failed: {name_failed(found)}. {_tell_gates(found)}"
        return Verdict("weak", "Let through by --anyway", f"{failed} {_tell_registered(contents)}.")
    return Verdict("good", "Passed", f"{_tell_gates(found)} {_tell_registered(contents)}.")


def _judge_unfinished(contents: Contents) -> Verdict:
    """Say what to do if no gate has judged the build, and no failure is known."""
    build = command(f"build {contents.name}")
    if contents.size_bytes is None:
        return Verdict("weak", "Half built", f"There is no model yet: {build} makes it.")
    asks = f"The file that is there was asked nothing yet: {build} asks it."
    return Verdict("weak", "Not examined", asks)


def _tell_gates(found: Report) -> str:
    return f"Gates: {found.count_gates().describe()}."


def _tell_registered(contents: Contents) -> str:
    model = contents.receipt.model if contents.receipt else None
    if contents.is_registered:
        return f"It is registered in Ollama as {model}"
    if model:
        return f"Nothing was registered; {model} in Ollama is of an earlier build"
    return "Nothing was registered in Ollama"


def name_failed(found: Report) -> str:
    """Name the gates that stop the build, in words."""
    names = {"smoke": "an answer to the manifest's own questions"}
    return join([names.get(gate, gate.replace("_", " ")) for gate in found.failed])
