"""What is measured of a build before it begins decides how long it is foretold to take."""

import json
import logging

import pytest

from builder import workload
from tests.conftest import build_of


def write_rows(luma, count):
    (luma / "data.jsonl").write_text(
        "".join(
            json.dumps({"prompt": f"Question {n:06}?", "completion": "I am {{ name }}."}) + "\n"
            for n in range(count)
        )
    )


def units_of(luma, manifest=""):
    path = luma / "persona.toml"
    before = path.read_text()
    path.write_text(before + manifest)
    try:
        return workload.measure(build_of(luma)).units
    finally:
        path.write_text(before)


def trained(units):
    return units["train"] - workload.START_CHARACTERS


def test_twice_the_epochs_are_twice_the_work(luma):
    """Training grows with epochs, with steps where these are set, and replay can be none."""
    write_rows(luma, 200)

    once, twice = (units_of(luma, f"[training]\nepochs = {epochs}\n") for epochs in (3, 6))
    assert trained(twice) == pytest.approx(2 * trained(once), rel=0.05)
    assert once["data"] == workload.START_ROWS + 200

    few, many = (units_of(luma, f"[training]\nmax_steps = {steps}\n") for steps in (10, 40))
    assert trained(many) == pytest.approx(4 * trained(few))
    assert units_of(luma, "[training]\nreplay = 0\n")["replay"] == 0


def test_units_of_another_meaning_are_another_key(luma, monkeypatch):
    """Where a unit comes to mean something else, what was timed before is not used."""
    before = workload.measure(build_of(luma)).key
    monkeypatch.setattr("builder.workload.UNITS_VERSION", workload.UNITS_VERSION + 1)

    assert workload.measure(build_of(luma)).key != before


def test_a_few_rows_are_repeated(luma):
    """Half of the rows are repeated twice as often: the work is about the same."""
    write_rows(luma, 20)
    few = units_of(luma)
    write_rows(luma, 40)

    assert trained(units_of(luma)) == pytest.approx(trained(few), rel=0.3)


def test_another_base_is_another_key(luma):
    """Times of one base, or of another machine, say nothing of those of another."""
    first = workload.measure(build_of(luma, base="cpu"))
    other = workload.measure(build_of(luma, base="owner/name"))

    assert first.key != other.key
    assert "| smollm2-135m-instruct |" in first.key


@pytest.mark.parametrize("content", ["", "{", '{"prompt": 3}', "\x00"])
def test_rows_that_cannot_be_read_foretell_nothing(luma, content):
    """A mistake in the data is told by the build, not by what measures it; nothing is logged."""
    (luma / "data.jsonl").write_text(content)

    assert workload.measure(build_of(luma)).units == {}


def test_no_warning_comes_twice(luma, caplog):
    """What the data stage warns of is not said by the measurement as well."""
    (luma / "data.csv").write_text("prompt,completion,other\na,b,c\n")
    path = luma / "persona.toml"
    path.write_text(path.read_text() + '[data]\nfiles = ["data.csv"]\n')
    with caplog.at_level(logging.INFO, "builder"):
        assert workload.measure(build_of(luma)).units["data"] == (workload.START_ROWS + 1)

    assert caplog.records == []
    assert not logging.getLogger("builder").disabled
