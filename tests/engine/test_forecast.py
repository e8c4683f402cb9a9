"""A build is foretold from what earlier builds took, and a damaged record foretells nothing."""

import random
import stat

import pytest

from builder.engine import forecast, times
from builder.engine.forecast import Forecast, Growing, Step, Workload
from builder.engine.spans import Span
from builder.engine.times import Times

KEY = "cpu, made up, 2 cores | a base"
TRAIN = Step(stage="train", has_new_inputs=True)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Give each test a cache folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "persona"


def damaged(seconds):
    return f'{{"schema": 1, "times": {{"{KEY}": {{"train": [[1, {seconds}]]}}}}}}'


def workload_of(units, key=KEY):
    return Workload(key=key, units={"train": units})


def foretell_train_s(units, key=KEY):
    return forecast.foretell([TRAIN], workload_of(units, key)).total_s


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("fixed_s", "unit_s"), [(20, 0.002), (2, 0.004), (60, 0.0005), (30, 0.0)])
def test_a_forecast_is_within_a_third(seed, fixed_s, unit_s):
    """Builds of several sizes, each a tenth off its line, foretell a size among them."""
    chance = random.Random(seed)  # noqa: S311 — made-up times
    for units in (10_000, 40_000, 15_000, 80_000):
        took_s = (fixed_s + unit_s * units) * chance.uniform(0.9, 1.1)
        forecast.note(TRAIN, workload_of(units), took_s, ())

    for units in (12_000, 30_000, 70_000):
        assert foretell_train_s(units) == pytest.approx(fixed_s + unit_s * units, rel=1 / 3)


def test_what_is_slow_once_is_soon_forgotten():
    """The first build compiles; after two more of that size the forecast is theirs to a third."""
    for took_s in (240.0, 90.0, 92.0):
        forecast.note(TRAIN, workload_of(20_000), took_s, ())

    assert foretell_train_s(20_000) == pytest.approx(91.0, rel=1 / 3)


def test_one_build_foretells_another_of_twice_the_size():
    """Of a single build its time is taken to grow with the work."""
    forecast.note(TRAIN, workload_of(20_000), 90.0, ())

    assert foretell_train_s(40_000) == pytest.approx(180.0)
    assert foretell_train_s(20_000, key="another machine") is None


def span_of(what, took_s):
    return Span(what=what, took_s=took_s)


def grow(units, *absent):
    """Describe a training of so many units, without some of its pieces of work."""
    growing = Growing(what="trains", units=units, absent=absent)
    return Workload(key=KEY, units={"train": units}, growing={"train": growing})


@pytest.mark.parametrize(("steps", "expected_s"), [(10, 40 + 10), (100, 40 + 100), (5, 40 + 5)])
def test_other_steps_change_what_grows_with_them_alone(steps, expected_s):
    """What a training does before its steps takes as long for few as for many."""
    spans = (span_of("loads libraries", 25.0), span_of("trains", 50.0), span_of("breathes", 0.5))
    forecast.note(TRAIN, grow(50), 90.0, spans)

    assert forecast.foretell([TRAIN], grow(steps)).total_s == pytest.approx(expected_s)


def test_a_piece_that_will_not_come_is_not_foretold():
    """Layers that were compiled last time, and will not be, cost nothing."""
    spans = (span_of("compiles the layers", 20.0), span_of("trains", 60.0))
    forecast.note(TRAIN, grow(60, "takes the first step"), 90.0, spans)
    few = forecast.foretell([TRAIN], grow(6, "compiles the layers"))
    assert few.total_s == pytest.approx(10 + 6)


@pytest.mark.parametrize("later", [(), (("compiles the layers", 0.4),)], ids=["none", "short"])
def test_a_piece_that_no_longer_comes_is_forgotten(later):
    """What took a minute once, and since then nothing, is soon not foretold any more."""
    spans = (span_of("compiles the layers", 60.0), span_of("trains", 30.0))
    forecast.note(TRAIN, grow(30), 91.0, spans)
    for _ in range(times.MOST_OBSERVATIONS):
        spans = (*(span_of(*one) for one in later), span_of("trains", 30.0))
        forecast.note(TRAIN, grow(30), 31.0, spans)

    foretold = forecast.foretell([TRAIN], grow(30))
    assert foretold.total_s == pytest.approx(31.0, abs=0.5)
    assert foretold.place("train").steps_s == {"trains": 30.0}


def test_a_piece_that_could_not_come_is_not_forgotten():
    """Where layers are not compiled this time, compiling them takes as long the next."""
    spans = (span_of("compiles the layers", 60.0), span_of("trains", 30.0))
    forecast.note(TRAIN, grow(30), 91.0, spans)
    forecast.note(TRAIN, grow(30, "compiles the layers"), 31.0, (span_of("trains", 30.0),))

    assert forecast.foretell([TRAIN], grow(30)).total_s == pytest.approx(91.0, abs=0.5)


def test_a_training_that_goes_on_is_foretold_from_its_checkpoint():
    """Steps that are done are not done again."""
    forecast.note(TRAIN, grow(50), 60.0, (span_of("trains", 50.0),))
    rest = Step(stage="train", has_new_inputs=True, left_share=0.2)

    assert forecast.foretell([rest], grow(50)).total_s == pytest.approx(10 + 0.2 * 50)


def test_without_pieces_a_training_that_goes_on_is_a_part_of_the_whole():
    """The first training of a machine may be cut short before its steps were timed apart."""
    forecast.note(TRAIN, grow(50), 60.0, ())
    rest = Step(stage="train", has_new_inputs=True, left_share=0.2)

    assert forecast.foretell([rest], grow(50)).total_s == pytest.approx(0.2 * 60)


def test_times_without_pieces_foretell_by_the_whole():
    """What noted no pieces of work is used as it is, and so are steps under two seconds."""
    forecast.note(TRAIN, grow(50), 60.0, ())
    assert forecast.foretell([TRAIN], grow(25)).total_s == pytest.approx(30.0)

    forecast.note(TRAIN, grow(50), 60.0, (span_of("trains", 1.0),))
    assert forecast.foretell([TRAIN], grow(100)).total_s == pytest.approx(59 + 2)


def test_a_stage_that_only_asks_again_has_times_of_its_own():
    """What answers cached answers take does not foretell a whole examination."""
    again, anew = (Step(stage="smoke", has_new_inputs=is_new) for is_new in (False, True))
    work = Workload(key=KEY)
    forecast.note(again, work, 4.0, ())
    assert forecast.foretell([anew], work).total_s == pytest.approx(4.0)  # nothing better is known

    forecast.note(anew, work, 60.0, ())
    assert forecast.foretell([anew], work).total_s == pytest.approx(60.0)
    assert forecast.foretell([again], work).total_s == pytest.approx(4.0)


def test_the_pieces_of_a_stage_are_foretold():
    """What cannot be counted has the time that it took last; short pieces are not kept."""
    spans = (Span(what="loads libraries", took_s=21.0), Span(what="takes a breath", took_s=0.1))
    forecast.note(TRAIN, workload_of(20_000), 90.0, spans)

    place = forecast.foretell([TRAIN], workload_of(20_000)).place("train")
    assert place.steps_s == {"loads libraries": 21.0}


@pytest.mark.parametrize(
    ("stages", "line"),
    [
        (
            {"train": 88.0, "export": 15.0, "smoke": 70.0},
            "3 stages, about 3 min (train about 1m30)",
        ),
        ({"data": 3.0, "export": 14.0, "register": None}, None),
        (
            {"train": None, "smoke": None},
            "2 stages; no forecast yet",
        ),
        ({"data": 3.0, "train": None, "smoke": None}, "3 stages; no forecast yet"),
        ({"smoke": 40.0}, "1 stage, about 40 s"),
        ({"render": 0.1}, ""),
        ({"register": None}, ""),
        ({}, ""),
    ],
)
def test_the_line_says_how_long_and_what_takes_longest(stages, line):
    """One line before the first stage; what was never timed is named, and a second is not told."""
    told = Forecast(stages=stages).describe()

    if line is None:
        line = "3 stages, about 15 s (export about 15 s) and what register will take, not timed"
    assert told.startswith(line)
    assert bool(told) == bool(line)


def test_stages_that_may_stay_as_they_are_are_not_promised():
    """Where some run only if others write something else, the count is the most there can be."""
    stages = {"data": 3.0, "train": 88.0}
    told = Forecast(stages=stages, uncertain=frozenset({"train"})).describe()
    assert told == "up to 2 stages, about 1m30 (train about 1m30)"


@pytest.mark.parametrize(("share", "is_told"), [(0.0, False), (0.3, False), (0.9, True)])
def test_a_busy_machine_is_told(share, is_told):
    """What others use of the processors makes a build longer than any that was timed."""
    forecast.note(TRAIN, workload_of(20_000), 90.0, ())
    busy = Workload(key=KEY, units={"train": 20_000}, busy_share=share)

    told = forecast.foretell([TRAIN], busy).describe()
    assert told.startswith("1 stage, about 1m30")
    assert ("; longer while other programs use the CPU" in told) == is_told


def test_a_stage_knows_its_place_and_what_is_left():
    """A stage is so many of so many; what is left after it is known only if all of it is."""
    stages = {"train": 60.0, "export": 20.0, "smoke": 30.0}
    place = Forecast(stages=stages).place("export")
    assert (place.number, place.count, place.expected_s, place.later_s) == (2, 3, 20.0, 30.0)

    assert Forecast(stages={**stages, "smoke": None}).place("export").later_s is None
    assert Forecast(stages=stages).place("another").count == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"schema": 2, "times": {}}',
        damaged('"x"'),
        damaged("-5"),
        damaged("Infinity"),
        damaged("NaN"),
        '{"schema": 1, "times": [1]}',
        "[" * 100_000,
    ],
)
def test_a_damaged_record_is_not_read(cache, text):
    """Whatever stands in the file, a build goes on without a forecast, and writes a whole one."""
    cache.mkdir()
    (cache / times.NAME).write_text(text)
    assert foretell_train_s(20_000) is None

    forecast.note(TRAIN, workload_of(20_000), 90.0, ())
    assert foretell_train_s(20_000) == pytest.approx(90.0)


def test_a_cache_that_cannot_be_written_is_no_error(cache):
    """Where a file stands in the place of the folder, nothing is noted and nothing fails."""
    cache.write_text("a file")
    forecast.note(TRAIN, workload_of(20_000), 90.0, ())

    assert foretell_train_s(20_000) is None
    assert stat.S_ISREG(cache.stat().st_mode)


def test_the_record_is_bounded():
    """Many builds, pieces of work and bases leave a record of a few kilobytes each, the newest."""
    record = Times()
    for number in range(200):
        record.add("a", f"train: {number}", 1.0, number)
        record.add("a", "train", number, number)
        record.add(f"base {number}", "train", 1.0, 1.0)

    assert len(record.times) == times.MOST_KEYS
    assert "base 199" in record.times
    assert len(record.times["a"]) <= times.MOST_SERIES
    assert record.times["a"]["train"][-1] == (199.0, 199.0)
    assert len(record.times["a"]["train"]) == times.MOST_OBSERVATIONS


def test_no_work_takes_no_time():
    """Of a stage that has nothing to do nothing is foretold but 0, and no line divides by it."""
    forecast.note(TRAIN, workload_of(0), 0.2, ())
    forecast.note(TRAIN, workload_of(20_000), 90.0, ())

    assert foretell_train_s(0) == 0.0
    assert foretell_train_s(20_000) == pytest.approx(90.0, rel=0.1)
