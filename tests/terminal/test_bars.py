"""The bar of a stage: the loss, what is left, and what fits into the terminal."""

import io
import re

import pytest
from rich.console import Console as Rich

from builder.progress import Place, Progress, Training
from builder.terminal import sparkline
from builder.terminal.bars import Bar
from tests.pseudoterminal import draw, frames_of

STAGE = """
import logging, math, time
from builder import progress
from builder.terminal.console import Console
from builder.progress import Place, Training

console = Console(line_every_s=0.3)
log = logging.getLogger("builder")
log.addHandler(console)
log.setLevel(logging.INFO)
place = Place(number=5, count=11, expected_s=60, later_s=60, steps_s={"loads libraries": 20})
console.started("train", ["never built"], "trains the adapter", place)
progress.report("loads libraries")
time.sleep(0.4)
for step in range(1, 61):
    told = Training(losses=(3.1 * math.exp(-step / 12),), epoch=1 + step // 20, epochs=4,
                    tokens_per_s=1234.5)
    progress.report("trains", step, 100, "steps", told)
    time.sleep(0.02)
console.done("train", 3.0, "loss 0.00")
console.close()
"""


def test_a_training_shows_its_loss_epoch_and_speed():
    """Above the bar is the place in the build, below it the loss from where to where."""
    frames = frames_of(draw(STAGE, 100))

    assert "train     trains the adapter: never built" in frames
    assert any(frame.startswith("stage 5 of 11, about 2 min in all left") for frame in frames)
    losses = [frame for frame in frames if frame.startswith("loss ")]
    assert re.fullmatch(
        r"loss 2\.\d → 0\.\d\d █[▁-█]{6}▁, epoch [34] of 4, 1,234 tokens/s", losses[-1]
    )


def test_what_cannot_be_counted_has_the_time_of_last_time():
    """A piece of work without a count shows the seconds left that it took before."""
    frames = frames_of(draw(STAGE, 100))

    assert any(
        "loads libraries" in frame and frame.endswith(("00:20", "00:19")) for frame in frames
    )


def test_everything_fits_into_twenty_columns():
    """No line of a bar is longer than a narrow terminal, and the loss is the first to be there."""
    frames = frames_of(draw(STAGE, 20))
    start = frames.index("train     trains the adapter: never built") + 1
    drawn = frames[start : next(at for at, frame in enumerate(frames) if "done in" in frame)]

    assert max(map(len, drawn)) <= 20
    assert any(frame.startswith("loss ") for frame in drawn)
    assert "stage 5 of 11" in drawn


def test_a_dumb_terminal_gets_lines_without_blocks():
    """Where no bar can be drawn a line tells loss, epoch, speed and what is left."""
    written = draw(STAGE, 100, TERM="dumb")

    assert "\x1b" not in written
    assert not set(sparkline.SPARKS) & set(written)
    assert "/100 steps, loss " in written
    assert ", epoch 1 of 4, 1,23" in written
    assert "left, about 2 min in all left" in written


def bar_of(encoding="utf-8", place=None):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    return Bar(Rich(file=file, width=100), place or Place())


def test_a_screen_without_symbols_gets_none():
    """In a locale without UTF-8 the loss is told in plain characters."""
    bar = bar_of("ascii")
    losses = tuple(float(loss) for loss in range(30, 0, -1))
    bar.advance(Progress("trains", 30, 30, "steps", Training(losses=losses, epoch=1, epochs=1)))

    assert bar.tell_training(has_sparkline=True) == ["loss 28.5 -> 2.5", "epoch 1 of 1"]


def test_a_loss_that_is_no_number_does_not_break_the_bar():
    """Infinite losses and those that are no number are left out of the line."""
    bar = bar_of()
    losses = (float("nan"), 2.0, float("inf"))
    bar.advance(Progress("trains", 3, 9, "steps", Training(losses=losses, epoch=1, epochs=1)))

    assert bar.tell_training(has_sparkline=True)[0] == "loss 2.0"


@pytest.mark.parametrize(
    ("values", "drawn"),
    [([1.0], "▁"), ([3.0, 2.0, 1.0], "█▅▁"), ([2.0, 2.0], "▁▁"), ([0.0, 1e9], "▁█")],
)
def test_a_sparkline_goes_from_the_lowest_to_the_highest(values, drawn):
    """The highest is a whole block, the lowest the least, and equal ones divide by nothing."""
    assert sparkline.draw(values).replace("▄", "▅") == drawn


@pytest.mark.parametrize("count", [1, 2, 3, 7, 24, 25, 1000])
def test_a_summary_is_of_all_values(count):
    """Means of neighbouring values, a few at least in each, keep their order and their mean."""
    means = sparkline.summarise([float(number) for number in range(count)])

    assert means == sorted(means)
    assert len(means) == min(8, max(1, count // 3))
    assert means[-1] <= count - 1
    assert sum(means) / len(means) == pytest.approx((count - 1) / 2, rel=0.1, abs=0.3)


def test_the_build_is_over_no_sooner_than_its_stages():
    """What is left in all is never less than the stages that follow, however late a stage is."""
    late = bar_of(place=Place(number=2, count=3, expected_s=0.0, later_s=45.0))
    late.advance(Progress("loads", 0, 0, ""))
    unknown = bar_of(place=Place(number=2, count=3, expected_s=9.0))

    assert late.tell_place() == ["stage 2 of 3", "about 45 s in all left"]
    assert unknown.tell_place() == ["stage 2 of 3"]
