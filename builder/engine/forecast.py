"""The forecast of how long a build will take, from earlier builds on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from builder.durations import roughly
from builder.engine import times
from builder.engine.spans import Span
from builder.engine.times import Times
from builder.progress import Place
from builder.words import count

# A piece of work that takes less has no series of its own.
LEAST_SPAN_S = 2.0
# The longest stage is named if it takes at least this share of the whole.
NAMED_SHARE = 0.3
# If other programs use at least this share of the CPU, a build is likely to take longer.
BUSY_SHARE = 0.4
# A shorter build has no forecast: reading it would take longer than the build.
LEAST_TOLD_S = 3.0


@dataclass(frozen=True, kw_only=True)
class Growing:
    """The piece of a stage's work that grows with the data; the other pieces take a fixed time."""

    what: str
    """The words in which its progress is reported."""
    units: float
    absent: tuple[str, ...] = ()
    """Pieces that the stage can have, but not this time."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What decides how long the stages of a build take."""

    key: str
    """The machine and the base."""
    units: Mapping[str, float] = field(default_factory=dict)
    """The work of each stage, in a unit of its own; 1 if it is always the same, 0 for none."""
    growing: Mapping[str, Growing] = field(default_factory=dict)
    """By stage; once it was timed, it gives a better forecast than the whole stage."""
    busy_share: float = 0.0
    """The share of the CPU that other programs use as the build begins."""

    def count_units(self, stage: str) -> float:
        """Give the units of a stage."""
        return self.units.get(stage, 1.0)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A stage that will run."""

    stage: str
    has_new_inputs: bool
    """Whether an earlier stage runs too; if not, cached answers may make it faster."""
    is_certain: bool = True
    """Whether it runs, whatever the earlier stages write."""
    left_share: float = 1.0
    """The share of its growing work that is left; under 1 if it resumes from a checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The seconds that each stage will take, in order; None if it never ran on this machine."""

    stages: Mapping[str, float | None]
    steps_s: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """The seconds of each piece of work, by stage."""
    uncertain: frozenset[str] = frozenset()
    """Stages that run only if an earlier stage changes their inputs."""
    is_busy: bool = False
    """Whether other programs use much of the CPU."""

    @property
    def total_s(self) -> float | None:
        """The seconds of all stages; None if one never ran on this machine."""
        known = [took_s for took_s in self.stages.values() if took_s is not None]
        return sum(known) if known and len(known) == len(self.stages) else None

    def describe(self) -> str:
        """Write the forecast in one line; "" if there is nothing to say."""
        stages = count(len(self.stages), "stage")
        if self.uncertain:
            stages = f"up to {stages}"
        known = {name: took_s for name, took_s in self.stages.items() if took_s is not None}
        unknown = [name for name in self.stages if name not in known]
        if len(known) < len(unknown) or not known:
            why = "no build with this base was timed on this machine"
            return f"{stages}; no forecast yet: {why}" if len(unknown) > 1 else ""
        total_s = sum(known.values())
        if total_s < LEAST_TOLD_S and not unknown:
            return ""
        line = f"{stages}, about {roughly(total_s)}"
        longest = max(known, key=lambda name: known[name])
        if len(known) > 1 and known[longest] >= NAMED_SHARE * total_s:
            line += f" ({longest} about {roughly(known[longest])})"
        if unknown:
            line += f" and what {', '.join(unknown)} will take, not timed here yet"
        return f"{line}; longer while other programs use the CPU" if self.is_busy else line

    def place(self, stage: str) -> Place:
        """Give the position of a stage in the build, and what is known about its time."""
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
            # A piece that took no time of its own last time has no forecast.
            steps_s={what: took_s for what, took_s in steps_s.items() if took_s},
        )


def foretell(steps: Sequence[Step], workload: Workload) -> Forecast:
    """Forecast the stages that will run, from the record of this machine."""
    read = times.read()
    return Forecast(
        stages={step.stage: _predict_s(read, step, workload) for step in steps},
        steps_s={step.stage: _list_steps_s(read, step.stage, workload) for step in steps},
        uncertain=frozenset(step.stage for step in steps if not step.is_certain),
        is_busy=workload.busy_share >= BUSY_SHARE,
    )


def note(step: Step, workload: Workload, took_s: float, spans: Sequence[Span]) -> None:
    """Add the time that a stage took to the record."""
    units, growing = workload.count_units(step.stage), workload.growing.get(step.stage)
    observations = {_name_series(step.stage, has_new_inputs=step.has_new_inputs): (units, took_s)}
    pieces = {
        span.what: (_count_piece(span.what, units, growing), span.took_s)
        for span in spans
        if span.took_s >= LEAST_SPAN_S or (growing and span.what == growing.what)
    }
    if growing and growing.what in pieces:
        # A piece that was timed before and did not come, or was short, took no time of its own,
        # unless it could not come this time.
        known = _list_steps_s(times.read(), step.stage, workload)
        gone = known.keys() - pieces.keys() - {*growing.absent}
        pieces |= dict.fromkeys(sorted(gone), (1.0, 0.0))
    observations |= {_name_piece(step.stage, what): piece for what, piece in pieces.items()}
    if growing and growing.what in pieces:
        rest_s = max(0.0, took_s - sum(piece_s for _, piece_s in pieces.values()))
        observations[_name_rest(step.stage)] = (1.0, rest_s)
    times.add(workload.key, observations)


def _count_piece(what: str, units: float, growing: Growing | None) -> float:
    """Give the units of a piece of work; beside a growing piece the others have a fixed time."""
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
        predicted_s = read.predict_s(workload.key, series, units * step.left_share)
        if predicted_s is not None:
            return predicted_s
    return None


def _predict_pieces_s(read: Times, step: Step, key: str, growing: Growing) -> float | None:
    """Predict a stage piece by piece; None if its growing piece was never timed here."""
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
    """Give the seconds that each piece of a stage's work took last."""
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
    """Name the series for the rest of a stage, beside the pieces that are timed."""
    return f"{stage}, the rest"
