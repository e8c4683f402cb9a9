"""What is measured of a build before it begins decides how long it is foretold to take."""

import json
import logging

import pytest

from builder import workload
from builder.data import packs
from builder.machine import Machine
from builder.training.choices import COMPILES, STARTS, UNCOMPILED_FACTOR
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
    return units["train"] - workload.START_BYTES


def test_twice_the_epochs_are_twice_the_work(luma):
    """Training grows with epochs, with steps where these are set, and replay can be none."""
    write_rows(luma, 200)

    once, twice = (units_of(luma, f"[training]\nepochs = {epochs}\n") for epochs in (3, 6))
    assert trained(twice) == pytest.approx(2 * trained(once), rel=0.05)
    assert once["data"] == workload.START_ROWS + 200

    few, many = (units_of(luma, f"[training]\nmax_steps = {steps}\n") for steps in (10, 40))
    assert trained(many) == pytest.approx(4 * trained(few))
    assert units_of(luma, "[training]\nreplay = 0\n")["replay"] == 0


GEMMA = "google/gemma-3-4b-it"  # its family takes eight rows a step, the embedded base's four


@pytest.mark.parametrize(("base", "rows_a_step"), [("smollm2-135m-instruct", 4), (GEMMA, 8)])
def test_steps_are_counted_in_the_rows_that_they_take(luma, base, rows_a_step):
    """Where the manifest says nothing of a step's rows, the base's family does."""
    write_rows(luma, 200)
    path = luma / "persona.toml"
    path.write_text(path.read_text() + "[training]\nmax_steps = 10\nreplay = 0\n")
    row_bytes = len("Question 000000?") + len("I am Luma.")

    units = workload.measure(build_of(luma, base=base)).units
    assert trained(units) == pytest.approx(10 * rows_a_step * row_bytes, rel=0.05)


def test_what_is_written_in_other_letters_is_counted_in_bytes(luma):
    """A Chinese character is about a token, and so are three or four Latin letters."""
    row = {"prompt": "你是谁？", "completion": "我是一个小助手。"}
    (luma / "data.jsonl").write_text(f"{json.dumps(row, ensure_ascii=False)}\n" * 50)
    chinese = trained(units_of(luma, "[training]\nreplay = 0\n"))
    row = {"prompt": "Who?", "completion": "A helper"}
    (luma / "data.jsonl").write_text(f"{json.dumps(row)}\n" * 50)

    assert chinese == pytest.approx(3 * trained(units_of(luma, "[training]\nreplay = 0\n")))


def test_tools_and_calls_are_work(luma):
    """The base reads what a row declares and calls as it reads its texts."""
    place = {"type": "string", "description": "A place, by name. " * 100}
    tool = {"name": "weather", "parameters": {"type": "object", "properties": {"place": place}}}
    call = {"function": {"name": "weather", "arguments": {"place": "Bergen " * 50}}}
    row = {
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
        ],
        "tools": [tool],
    }
    (luma / "data.jsonl").write_text(json.dumps(row) + "\n")

    manifest = "[training]\nreplay = 0\nepochs = 1\n"
    assert trained(units_of(luma, manifest)) == pytest.approx(1800 + 350, rel=0.15)


def test_rows_that_are_held_out_are_no_work(luma):
    """The training is planned for the rows that it takes, as the data stage plans it."""
    write_rows(luma, 200)
    manifest = "[training]\nreplay = 0\nepochs = 3\n[data]\nheld_out = "
    every, half = (trained(units_of(luma, f"{manifest}{share}\n")) for share in (0, 0.5))

    assert half == pytest.approx(every / 2, rel=0.2)


@pytest.mark.parametrize(("steps", "absent"), [(149, COMPILES), (150, STARTS)])
def test_few_steps_are_not_compiled_and_take_longer(luma, steps, absent):
    """What compiling takes is foretold where layers are compiled, and else longer steps."""
    path = luma / "persona.toml"
    path.write_text(path.read_text() + f"[training]\nmax_steps = {steps}\n")
    build = build_of(luma, base="cpu")
    build.__dict__["machine"] = Machine("cpu", "made up", has_bf16=False)
    measured = workload.measure(build)

    growing = measured.growing["train"]
    assert growing.absent == (absent,)
    factor = UNCOMPILED_FACTOR if absent == COMPILES else 1
    assert growing.units == pytest.approx(factor * trained(measured.units))


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


def test_rows_beside_a_pack_count_as_often_as_they_come(luma):
    """Own rows come more often than the pack's, unless the manifest says how often rows come."""
    write_rows(luma, 12)
    path = luma / "persona.toml"
    path.write_text(path.read_text() + "[data]\npacks = ['identity/en']\nheld_out = 0\n")
    own_bytes = 12 * (len("Question 000000?") + len("I am Luma."))

    units = units_of(luma, "[training]\nreplay = 0\n")
    once = trained(units_of(luma, "[training]\nreplay = 0\nepochs = 1\n"))
    epochs = 720 / (12 + len(list(packs.read("identity/en"))))
    assert trained(units) == pytest.approx(epochs * (once + 4 * own_bytes), rel=0.02)
