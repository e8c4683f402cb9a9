"""Stamps and failures of a build's folder."""

import os

import pytest

from builder.engine import stamps
from builder.engine.stamps import Description, Stamp

STAMP = Stamp(Description(1, {}, {}), "0" * 64, "done", took_s=None, tools={})


def test_each_end_of_a_stage_is_a_change(tmp_path):
    """A stamp that travelled may be of a clock that runs ahead; what follows it counts too."""
    lists = [stamps.list_changes(tmp_path)]
    stamps.write(tmp_path, "base", STAMP)
    os.utime(stamps.path(tmp_path, "base"), (4e9, 4e9))
    lists.append(stamps.list_changes(tmp_path))
    stamps.note_failure(tmp_path, "data", "no row")
    lists.append(stamps.list_changes(tmp_path))
    stamps.note_failure(tmp_path, "data", "no row at all")
    lists.append(stamps.list_changes(tmp_path))

    assert lists[0] == set()
    assert len(set(map(frozenset, lists))) == len(lists)
    assert stamps.list_changes(tmp_path) == lists[-1]


def test_a_stamp_that_vanishes_meanwhile_is_left_out(tmp_path):
    """Another process may replace it between the listing and the look at its time."""
    stamps.write(tmp_path, "base", STAMP)
    (tmp_path / stamps.FOLDER / "gone.json").symlink_to(tmp_path / "nowhere")

    assert [name for name, _ in stamps.list_changes(tmp_path)] == ["base.json"]


@pytest.mark.parametrize("took", ["NaN", "Infinity", "-1", "1e999", "9" * 200, '"1"', "null"])
def test_a_time_that_is_none_is_left_out(tmp_path, took):
    """The stamp itself is good: its output is not made again for the time that it took."""
    path = stamps.path(tmp_path, "train")
    path.parent.mkdir()
    kinds = '"version": 1, "settings": {}, "inputs": {}, "output": "x", "summary": ""'
    path.write_text(f'{{"schema": {stamps.SCHEMA}, {kinds}, "took_s": {took}}}')

    found = stamps.read(tmp_path, "train")

    assert found is not None
    assert found.took_s is None
