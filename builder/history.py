"""The history of a persona's builds: their settings, figures and answers.

It holds the last ten builds that differ, and none of their files.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from builder import files, targets, temporaries
from builder.engine.inputs import list_settings
from builder.evaluation.report import Finding, GateAnswer, OwnAnswer, Report
from builder.project import HISTORY, Build
from builder.report import contents
from builder.report.contents import Contents
from builder.stages import register, smoke
from builder.tables import read_record

SCHEMA = 1
MOST = 10
Outcome = Literal["passed", "let through", "refused", "stopped"]
# Fields that do not tell two builds apart.
NOT_COMPARED = ("ended_at", "outcome", "stopped_at", "took_s")


@dataclass(frozen=True)
class Gate:
    """The finding of a gate."""

    gate: str
    verdict: str
    mode: str
    right: int
    of: int
    baseline_right: int | None
    note: str


@dataclass(frozen=True)
class Answer:
    """The answer to a question."""

    gate: str
    """The gate that asked, or `smoke` for the greeting and the manifest's own questions."""
    ask: str
    """The user's last message."""
    question: str
    """A hash of the conversation and the seed, to find the same question in another build."""
    answer: str
    is_right: bool


@dataclass(frozen=True, kw_only=True)
class Record:
    """A build at its end."""

    ended_at: str
    """In UTC, in ISO 8601."""
    outcome: Outcome
    stopped_at: str | None
    """The stage at which it stopped, or None."""
    base: str
    rows: int
    size_bytes: int | None
    settings: dict[str, dict[str, Any]]
    """The declared settings of each stage, by the names that reasons use."""
    contents: dict[str, str | None]
    """Hashes of the user's files: data files and Modelfile.j2."""
    took_s: dict[str, float]
    """How long the last run of each stage took."""
    gates: list[Gate]
    answers: list[Answer]

    @property
    def key(self) -> str:
        """A hash that is the same for the same build."""
        values = {key: value for key, value in asdict(self).items() if key not in NOT_COMPARED}
        # Registration makes no other model.
        told = {name: one for name, one in self.settings.items() if name != register.NAME}
        return _hash({**values, "settings": told})


def describe(build: Build) -> Record | None:
    """Describe a build as it is now; None if its file was not examined.

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
        settings=_list_settings(build, found),
        contents=_list_contents(build, found),
        took_s={name: stamp.took_s for name, stamp in stamps.items() if stamp.took_s is not None},
        gates=[_read_gate(finding) for finding in found.found.gates],
        answers=_list_answers(found.found),
    )


def append(build: Build) -> None:
    """Add a finished build to the history; the caller holds the build's lock.

    It replaces an earlier record of the same build.

    Raises:
        PersonaError: As for `describe`.
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
    for other in {*_list_files(folder)} - {*kept[-MOST:]}:
        files.remove(other)
    temporaries.clear(folder)
    for left in folder.glob(f".*.json.*{temporaries.SUFFIX}"):  # by an older release
        files.remove(left)


def read(folder: Path) -> list[Record]:
    """Read the history in a build's folder, the oldest first; damaged records are left out."""
    records: list[Record] = []
    for path in _list_files(folder / HISTORY):
        values = files.read_json(path)
        if isinstance(values, dict) and values.pop("schema", None) == SCHEMA:
            record = read_record(values, Record)
            records += [record] if record else []
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


def _list_settings(build: Build, found: Contents) -> dict[str, dict[str, Any]]:
    """List the settings that the build was made with; the manifest may have changed since."""
    settings = {name: stamp.description.settings for name, stamp in found.stamps.items()}
    if found.is_refused:  # its examination has no stamp
        settings[smoke.NAME] = list_settings(smoke.inputs(build))
    values: dict[str, dict[str, Any]] = json.loads(json.dumps(settings))
    return values


def _list_contents(build: Build, found: Contents) -> dict[str, str | None]:
    """List the hashes of inputs that are not the output of a stage."""
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
