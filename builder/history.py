"""A short history of a persona's builds: figures and answers, and the settings that decided them.

No file of a build is in it. Ten builds that differ are kept.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from builder import files, targets
from builder.engine.inputs import list_settings
from builder.errors import NotBuiltError
from builder.evaluation.report import Finding, GateAnswer, OwnAnswer, Report
from builder.project import HISTORY, Build
from builder.report import contents
from builder.report.contents import Contents

SCHEMA = 1
MOST = 10
Outcome = Literal["passed", "let through", "refused", "stopped"]
# What two records may differ in and yet be of the same build.
NOT_COMPARED = ("ended_at", "outcome", "stopped_at", "took_s")


@dataclass(frozen=True)
class Gate:
    """What a gate found."""

    gate: str
    verdict: str
    mode: str
    right: int
    of: int
    baseline_right: int | None
    note: str


@dataclass(frozen=True)
class Answer:
    """What was answered to a question."""

    gate: str
    """The gate that asked it, or `smoke` for the greeting and the manifest's own questions."""
    ask: str
    """What the user says last."""
    question: str
    """A hash of the whole conversation and the seed: the same question has the same."""
    answer: str
    is_right: bool


@dataclass(frozen=True, kw_only=True)
class Record:
    """One build at its end."""

    ended_at: str
    """In UTC, as ISO 8601 writes it."""
    outcome: Outcome
    stopped_at: str | None
    """The stage at which it stopped, or None."""
    base: str
    rows: int
    size_bytes: int | None
    settings: dict[str, dict[str, Any]]
    """The declared settings of each stage, by the names that a reason shows."""
    contents: dict[str, str | None]
    """Hashes of what a person wrote: data files and Modelfile.j2."""
    took_s: dict[str, float]
    """How long each stage ran, when it ran last."""
    gates: list[Gate]
    answers: list[Answer]

    @property
    def key(self) -> str:
        """A hash by which a build is the same as another."""
        values = {key: value for key, value in asdict(self).items() if key not in NOT_COMPARED}
        return _hash(values)


def describe(build: Build) -> Record | None:
    """Describe a build as it is now; None where no file of it was examined.

    Raises:
        PersonaError: The build is of another version, or has no base or rows yet.

    """
    found = contents.gather(build)
    if found.found is None:
        return None
    stamps = found.stamps
    return Record(
        ended_at=datetime.now(UTC).isoformat(timespec="microseconds"),
        outcome=_judge(found, found.found),
        stopped_at=found.stop.stage if found.stop else None,
        base=found.base.source,
        rows=found.profile.rows,
        size_bytes=found.size_bytes,
        settings=_list_settings(build),
        contents=_list_contents(build, found),
        took_s={name: stamp.took_s for name, stamp in stamps.items() if stamp.took_s is not None},
        gates=[_read_gate(finding) for finding in found.found.gates],
        answers=_list_answers(found.found),
    )


def append(build: Build) -> None:
    """Add a build that has ended to its history; the caller has the build's lock.

    Of builds that are the same the last is kept.

    Raises:
        PersonaError: As of `describe`.
        OSError: It cannot be written.

    """
    record = describe(build)
    if record is None:
        return
    folder = build.history
    key = record.key
    mark = record.ended_at.replace(":", "").replace("+0000", "Z")
    path = folder / f"{mark}-{key}.json"
    files.write_json(path, {"schema": SCHEMA, **asdict(record)})
    kept = [other for other in _list_files(folder) if other == path or key not in other.name]
    for other in {*_list_files(folder), *folder.glob(f".*{files.TEMPORARY}")} - {*kept[-MOST:]}:
        files.remove(other)


def read(folder: Path) -> list[Record]:
    """Read the history in a build's folder, the oldest first; what is damaged is left out."""
    records = []
    for path in _list_files(folder / HISTORY):
        values = files.read_json(path)
        if isinstance(values, dict) and values.pop("schema", None) == SCHEMA:
            with suppress(TypeError, KeyError):
                gates = [Gate(**gate) for gate in values.pop("gates")]
                answers = [Answer(**answer) for answer in values.pop("answers")]
                records.append(Record(**values, gates=gates, answers=answers))
    return records


def _list_files(folder: Path) -> list[Path]:
    """List the records, the oldest first."""
    return sorted(folder.glob("[!.]*.json"))


def _judge(found: Contents, examined: Report) -> Outcome:
    if found.is_refused:
        return "refused"
    if found.stop:
        return "stopped"
    return "let through" if examined.failed else "passed"


def _list_settings(build: Build) -> dict[str, dict[str, Any]]:
    settings = {}
    for stage in targets.MODEL:
        with suppress(NotBuiltError):
            settings[stage.NAME] = list_settings(stage.inputs(build))
    values: dict[str, dict[str, Any]] = json.loads(json.dumps(settings))
    return values


def _list_contents(build: Build, found: Contents) -> dict[str, str | None]:
    """List the inputs that are no stage's output."""
    outputs = {stage.output(build).name for stage in targets.MODEL}
    return {
        name: digest
        for stamp in found.stamps.values()
        for name, digest in stamp.description.inputs.items()
        if name.split("/")[0] not in outputs
    }


def _read_gate(finding: Finding) -> Gate:
    return Gate(
        gate=finding.gate,
        verdict=finding.verdict,
        mode=finding.mode,
        right=finding.right,
        of=finding.of,
        baseline_right=finding.baseline_right,
        note=finding.note,
    )


def _list_answers(found: Report) -> list[Answer]:
    own = [*([found.hello] if found.hello else []), *found.manifest]
    return [*map(_read_own, own), *map(_read_asked, found.asked)]


def _read_own(own: OwnAnswer) -> Answer:
    return Answer("smoke", own.ask, _hash(own.ask), own.answer, own.problem is None)


def _read_asked(asked: GateAnswer) -> Answer:
    question = _hash([asked.gate, asked.messages, asked.seed])
    return Answer(asked.gate, asked.ask, question, asked.answer, asked.is_right)


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
