"""Room on a disk, and what a folder takes of it."""

import os
import shutil

import pytest

from builder import disk
from builder.errors import ToolError


def test_a_folder_is_measured_once(tmp_path):
    """A hard link takes nothing, a link into the folder neither, and a missing folder is empty."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "a").write_bytes(b"x" * 100_000)
    os.link(tmp_path / "blobs" / "a", tmp_path / "b")
    before = disk.measure_bytes(tmp_path)
    (tmp_path / "c").symlink_to(tmp_path / "blobs" / "a")

    assert before == 100_000
    assert disk.measure_bytes(tmp_path) < before + 1000
    assert disk.measure_bytes(tmp_path / "nowhere") == 0


def test_a_want_of_room_is_a_sentence(tmp_path):
    """Also of a folder that is not there yet: its disk is that of the nearest one above it."""
    free_bytes = shutil.disk_usage(tmp_path).free
    disk.check_room(tmp_path / "a" / "b", 1, "a file", hint="free some disk")

    with pytest.raises(ToolError, match=r"/b: .* GB free, expected .* GB for a file") as caught:
        disk.check_room(tmp_path / "a" / "b", 2 * free_bytes, "a file", hint="free some disk")
    assert caught.value.hint == "free some disk"
