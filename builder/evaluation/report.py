"""The result of an examination, as stored in smoke.json and gates.json; see docs/files.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from builder import files
from builder.errors import ToolError
from builder.escapes import quote
from builder.evaluation import tally
from builder.evaluation.statistics import Verdict, wilson
from builder.evaluation.tally import Tally
from builder.manifest.gate_settings import Mode
from builder.tables import read_record

SCHEMA = 4
SHOWN_CHARACTERS = 240
SEARCHED_CHARACTERS = 2000
SHOWN_MISSED = 3
# A piece of eight to 120 characters, three times in a row.
LOOP = re.compile(r"(.{8,120}?)\1{2}", re.DOTALL)


@dataclass(frozen=True)
class WrongAnswer:
    """A question and its wrong answer, shown if a gate fails."""

    ask: str
    answer: str


@dataclass(frozen=True)
class Finding:
    """The result of one gate, in figures and in words."""

    gate: str
    verdict: Verdict
    mode: Mode = "stop"
    """Whether its failure stops a build, or is only reported."""
    can_be_waived: bool = True
    """Whether `--anyway` can waive a failure; it cannot if the build itself is wrong."""
    right: int = 0
    of: int = 0
    baseline_right: int | None = None
    limit: float | None = None
    """The smallest share that must be right, or the largest value allowed for the note's figure."""
    note: str = ""
    figures: dict[str, float | list[float]] = field(default_factory=dict)
    brief: str = ""
    """A few words for the line of the smoke stage, or ""."""
    told: str = ""
    """The finding in words, with the base's figure."""
    is_told: bool = True
    """Whether the end of a build shows it even if it passed."""
    advice: str = ""
    """What to do if it fails."""
    examples: tuple[WrongAnswer, ...] = ()
    missed: tuple[str, ...] = ()
    """Questions of the persona's rows whose replies are not given: they are not published."""

    @property
    def stops(self) -> bool:
        """Whether it stops the build."""
        return self.verdict == "fail" and self.mode == "stop"

    def describe_missed(self) -> str:
        """Name some of the missed questions; "" if there are none."""
        if not self.missed:
            return ""
        left = len(self.missed) - SHOWN_MISSED
        more = f" and {left} more" if left > 0 else ""
        return f"missed: {', '.join(map(quote, self.missed[:SHOWN_MISSED]))}{more}"

    @property
    def is_possible(self) -> bool:
        """Whether at most all of its answers are right."""
        return 0 <= self.right <= self.of

    @property
    def interval(self) -> tuple[float, float]:
        """The share's 95 % interval."""
        return wilson(self.right, self.of)

    def problems(self) -> Iterator[str]:
        """Say why it stops the build, with some of the answers, and what to do."""
        share = ""
        if self.limit is not None and self.of and not self.figures:
            share = f"{self.right} of {self.of} right, expected {self.limit:.0%} or more"
        yield f"{self.gate}: {', '.join(filter(None, (share, self.note)))}: it {self.told}"
        for example in self.examples:
            yield f"  {example.ask!r} is answered {shorten(example.answer)!r}"
        yield f"  fix: {self.advice}"


@dataclass(frozen=True)
class OwnAnswer:
    """The answer to a greeting or to a question of the manifest, with the served system text."""

    ask: str
    answer: str
    ended: bool
    baseline: str | None
    problem: str | None
    """What is wrong with the answer; None if it is right."""


@dataclass(frozen=True)
class GateAnswer:
    """The answer to a question of a gate."""

    gate: str
    messages: list[dict[str, str]]
    seed: int | None
    """None if it is answered greedily."""
    answer: str
    ended: bool
    is_right: bool
    by_file: bool
    """Whether the file answered; if not, the in-memory model did."""
    least_margin_nats: float | None
    """The smallest logit margin of the answer's tokens; None if it was not measured."""
    baseline: str | None
    baseline_is_right: bool | None
    has_tools: bool = False
    """Whether functions were declared."""

    @property
    def ask(self) -> str:
        """The user's last message."""
        return self.messages[-1]["content"]

    @property
    def is_possible(self) -> bool:
        """Whether there is a message, and each has a content; in a damaged file it may lack."""
        return bool(self.messages) and all("content" in said for said in self.messages)


@dataclass(frozen=True, kw_only=True)
class Report:
    """The result of an examination."""

    share: float
    """The share of the gates' questions that the file was asked."""
    tokens_per_s: float
    gates: list[Finding]
    hello: OwnAnswer | None
    """The answer to a greeting, which is shown but not judged."""
    manifest: list[OwnAnswer]
    asked: list[GateAnswer]

    @property
    def failed(self) -> list[str]:
        """Name the gates that stop the build; `smoke` means the manifest's own questions."""
        own = ["smoke"] if any(own.problem for own in self.manifest) else []
        return own + [finding.gate for finding in self.gates if finding.stops]

    def count_gates(self) -> Tally:
        """Count the gates that passed, failed and could not judge."""
        return tally.count(((one.verdict, one.mode) for one in self.gates), self.failed)

    @property
    def can_be_waived(self) -> bool:
        """Whether `--anyway` can waive all failures."""
        return all(finding.can_be_waived for finding in self.gates if finding.stops)

    @property
    def brief(self) -> str:
        """The gates on one line."""
        parts = [finding.brief for finding in self.gates if finding.brief]
        unsure = sum(finding.verdict == "not enough evidence" for finding in self.gates)
        return ", ".join([*parts, *([f"{unsure} without enough evidence"] if unsure else [])])

    @property
    def own(self) -> list[OwnAnswer]:
        """The answers to a greeting and to the manifest's own questions, each question once."""
        hello = [self.hello] if self.hello else []
        return hello + [own for own in self.manifest if own.ask not in {one.ask for one in hello}]

    def problems(self) -> list[str]:
        """Say what stops the build: wrong answers to the manifest, and every gate that failed."""
        own = [
            f"manifest: {own.ask!r} is answered {shorten(own.answer)!r}: {own.problem}"
            for own in self.manifest
            if own.problem
        ]
        stopping = (finding for finding in self.gates if finding.stops)
        return own + [problem for finding in stopping for problem in finding.problems()]

    @property
    def is_possible(self) -> bool:
        """Whether its figures and questions can be; those of a damaged file may not."""
        return all(finding.is_possible for finding in self.gates) and all(
            answer.is_possible for answer in self.asked
        )

    def as_json(self) -> dict[str, Any]:
        """Convert it to JSON values."""
        values = {"schema": SCHEMA, **asdict(self), "failed": self.failed}
        for gate, finding in zip(values["gates"], self.gates, strict=True):
            gate["interval"] = finding.interval
        return values

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        text = json.dumps(self.as_json(), ensure_ascii=False, indent=1)
        path.write_text(text + "\n", "utf-8")


def read(path: Path) -> Report:
    """Read what `Report.write` wrote.

    Raises:
        ToolError: There is no such file, or it has another schema.

    """
    values = files.read_json(path)
    is_known = isinstance(values, dict) and values.get("schema") == SCHEMA
    found = read_record(values, Report) if is_known else None
    if found is None or not found.is_possible:
        what = f"cannot be read, expected an examination of schema {SCHEMA}"
        raise ToolError(f"{path}: {what}", hint="build the persona again")
    return found


def shorten(text: str) -> str:
    """Cut a long answer, and cut one that repeats itself after the first time."""
    if loop := LOOP.search(text[:SEARCHED_CHARACTERS]):
        text = f"{text[: loop.end(1)]} …"
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
