"""What a person sees of a stage that runs."""

import logging

import pytest

from builder import progress
from builder.console import Console


@pytest.fixture
def told(capsys):
    """A function that reports its progress to a console without a terminal, and gives the lines it printed."""
    log = logging.getLogger("builder")

    def tell(console):
        log.addHandler(console)
        log.setLevel(logging.INFO)
        try:
            console.started("train", ["never built"])
            progress.report("loading Unsloth", 0, 0, "")
            progress.report("train", 120, 541, "steps")
            progress.report("train", 541, 541, "steps")
        finally:
            log.removeHandler(console)
        return [line.rstrip() for line in capsys.readouterr().err.splitlines()]

    return tell


def test_without_a_terminal_a_line_now_and_then_tells_how_far_it_is(told):
    """A log of a long build shows what is done of how much; neither the stage's name nor its end is said twice."""
    assert told(Console(line_every_s=0)) == [
        "train     never built",
        "train     loading Unsloth",
        "train     120/541 steps",
    ]


def test_without_a_terminal_progress_is_told_seldom(told):
    """What is over within a minute leaves no line of progress in a log."""
    assert told(Console()) == ["train     never built"]
