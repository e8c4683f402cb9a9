"""How long a build will take, foretold from what earlier builds on this machine took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from builder.durations import roughly
from builder.engine import times
from builder.engine.spans import Span
from builder.engine.times import Times
from builder.progress import Place

# What takes less of a stage is not worth a series of its own.
LEAST_SPAN_S = 2.0
# The longest stage is named where it takes so much of the whole.
NAMED_SHARE = 0.3
# Where others use so much of the processors, a build may well take longer.
BUSY_SHARE = 0.4
# Foretelling a shorter build takes longer to read than the build.
LEAST_TOLD_S = 3.0


@dataclass(frozen=True, kw_only=True)
class Growing:
    """The piece of a stage's work that grows; its other pieces take as long as they took."""

    what: str
    """In the words in which its progress is told."""
    units: float
    absent: tuple[str, ...] = ()
    """Pieces that the stage may have, and will not have this time."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What decides how long a build's stages take."""

    key: str
    """The machine and the base."""
    units: Mapping[str, float] = field(default_factory=dict)
    """Work of a stage, in a unit of its own; 1 where it is always the same, 0 for none."""
    growing: Mapping[str, Growing] = field(default_factory=dict)
    """By stage; where it was timed, it foretells better than the whole."""
    busy_share: float = 0.0
    """Share of the processors that other programs use as the build begins."""

    def count_units(self, stage: str) -> float:
        """Give the units of a stage."""
        return self.units.get(stage, 1.0)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A stage that will run."""

    stage: str
    has_new_inputs: bool
    """Whether a stage before it runs too; else what it cached of its answers may be used."""
    is_certain: bool = True
    """Whether it runs whatever the stages before it write."""
    left_share: float = 1.0
    """Of its growing work; less where it goes on from a checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Seconds of each stage that will run, in order; None where it never ran here."""

    stages: Mapping[str, float | None]
    steps_s: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Of the pieces of work of each stage."""
    uncertain: frozenset[str] = frozenset()
    """The stages that run only if one before them writes something else."""
    is_busy: bool = False
    """Whether other programs use the machine's processors."""

    @property
    def total_s(self) -> float | None:
        """Of all stages; None where one of them never ran here."""
        known = [took_s for took_s in self.stages.values() if took_s is not None]
        return sum(known) if known and len(known) == len(self.stages) else None

    def describe(self) -> str:
        """Foretell the build in a line; an empty one where there is nothing to tell."""
        count = f"{len(self.stages)} stage{'' if len(self.stages) == 1 else 's'}"
        if self.uncertain:
            count = f"up to {count}"
        known = {name: took_s for name, took_s in self.stages.items() if took_s is not None}
        unknown = [name for name in self.stages if name not in known]
        if len(known) < len(unknown) or not known:
            why = "no build with this base was timed on this machine"
            return f"{count}; no forecast yet: {why}" if len(unknown) > 1 else ""
        total_s = sum(known.values())
        if total_s < LEAST_TOLD_S and not unknown:
            return ""
        line = f"{count}, about {roughly(total_s)}"
        longest = max(known, key=lambda name: known[name])
        if len(known) > 1 and known[longest] >= NAMED_SHARE * total_s:
            line += f" ({longest} about {roughly(known[longest])})"
        if unknown:
            line += f" and what {', '.join(unknown)} will take, not timed here yet"
        return f"{line}; longer while other programs use the processors" if self.is_busy else line

    def place(self, stage: str) -> Place:
        """Say where a stage stands, and what is known of its time."""
        names = list(self.stages)
        if stage not in names:
            return Place()
        later = [self.stages[name] for name in names[names.index(stage) + 1 :]]
        known = [took_s for took_s in later if took_s is not None]
        steps_s = self.steps_s.get(stage, {})
        return Place(
            number=names.index(stage) + 1,
            count=len(names),
            expected_s=self.stages[stage],
            later_s=sum(known) if len(known) == len(later) else None,
            # Of what took nothing of its own last time, nothing is foretold.
            steps_s={what: took_s for what, took_s in steps_s.items() if took_s},
        )


def foretell(steps: Sequence[Step], workload: Workload) -> Forecast:
    """Foretell the stages that will run, from the record of this machine."""
    read = times.read()
    return Forecast(
        stages={step.stage: _predict_s(read, step, workload) for step in steps},
        steps_s={step.stage: _list_steps_s(read, step.stage, workload) for step in steps},
        uncertain=frozenset(step.stage for step in steps if not step.is_certain),
        is_busy=workload.busy_share >= BUSY_SHARE,
    )


def note(step: Step, workload: Workload, took_s: float, spans: Sequence[Span]) -> None:
    """Add to the record what a stage took."""
    units, growing = workload.count_units(step.stage), workload.growing.get(step.stage)
    observations = {_name_series(step.stage, has_new_inputs=step.has_new_inputs): (units, took_s)}
    pieces = {
        span.what: (_count_piece(span.what, units, growing), span.took_s)
        for span in spans
        if span.took_s >= LEAST_SPAN_S or (growing and span.what == growing.what)
    }
    if growing and growing.what in pieces:
        # What was timed before and did not come, or was short, took nothing of its own, unless it
        # could not come.
        known = _list_steps_s(times.read(), step.stage, workload)
        gone = known.keys() - pieces.keys() - {*growing.absent}
        pieces |= dict.fromkeys(sorted(gone), (1.0, 0.0))
    observations |= {_name_piece(step.stage, what): piece for what, piece in pieces.items()}
    if growing and growing.what in pieces:
        rest_s = max(0.0, took_s - sum(piece_s for _, piece_s in pieces.values()))
        observations[_name_rest(step.stage)] = (1.0, rest_s)
    times.add(workload.key, observations)


def _count_piece(what: str, units: float, growing: Growing | None) -> float:
    """Give the units of a piece of work; of a stage with a growing one the others have none."""
    if growing is None:
        return units
    return growing.units if what == growing.what else 1.0


def _predict_s(read: Times, step: Step, workload: Workload) -> float | None:
    units, growing = workload.count_units(step.stage), workload.growing.get(step.stage)
    if not units:
        return 0.0
    if growing:
        predicted_s = _predict_pieces_s(read, step, workload.key, growing)
        if predicted_s is not None:
            return predicted_s
    for has_new_inputs in (step.has_new_inputs, not step.has_new_inputs):
        series = _name_series(step.stage, has_new_inputs=has_new_inputs)
        predicted_s = read.predict_s(workload.key, series, units)
        if predicted_s is not None:
            return predicted_s
    return None


def _predict_pieces_s(read: Times, step: Step, key: str, growing: Growing) -> float | None:
    """Predict a stage piece by piece; None where its growing piece was never timed here."""
    units = growing.units * step.left_share
    growing_s = read.predict_s(key, _name_piece(step.stage, growing.what), units)
    rest_s = read.predict_s(key, _name_rest(step.stage), 1.0)
    if growing_s is None or rest_s is None:
        return None
    prefix, skipped = _name_piece(step.stage, ""), {growing.what, *growing.absent}
    others_s = [
        read.predict_s(key, series, 1.0) or 0.0
        for series in read.times.get(key, {})
        if series.startswith(prefix) and series.removeprefix(prefix) not in skipped
    ]
    return growing_s + rest_s + sum(others_s)


def _list_steps_s(read: Times, stage: str, workload: Workload) -> dict[str, float]:
    """Give what each piece of a stage's work took last; most have a fixed part alone."""
    prefix = _name_piece(stage, "")
    return {
        series.removeprefix(prefix): observations[-1][1]
        for series, observations in read.times.get(workload.key, {}).items()
        if series.startswith(prefix)
    }


def _name_series(stage: str, *, has_new_inputs: bool) -> str:
    return stage if has_new_inputs else f"{stage} again"


def _name_piece(stage: str, what: str) -> str:
    return f"{stage}: {what}"


def _name_rest(stage: str) -> str:
    """Name what a stage takes beside its pieces of work that are timed."""
    return f"{stage}, the rest"
