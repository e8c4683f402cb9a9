"""Hashes of files: what they are of, and when they are computed anew."""

import hashlib

import pytest

from builder.engine import hashes
from builder.engine.hashes import Hashes

CONTENTS = {"a": b"a" * 99, "b": b"b" * 100, "c": b"c" * 250, "d": b""}


@pytest.fixture
def base(tmp_path, monkeypatch):
    """A folder, of whose files those of a hundred bytes count as large."""
    monkeypatch.setattr(hashes, "LARGE_BYTES", 100)
    monkeypatch.setattr(hashes, "CHUNK_BYTES", 30)
    (tmp_path / "base").mkdir()
    for name, content in CONTENTS.items():
        (tmp_path / "base" / name).write_bytes(content)
    return tmp_path / "base"


def hash_folder(contents):
    """Hash names and contents as a folder is."""
    lines = (f"{name}\0{hashlib.sha256(of).hexdigest()}\n" for name, of in contents.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def test_a_folder_is_its_names_and_contents(base, tmp_path):
    """Whether its files are large, and hashed side by side, or not."""
    assert Hashes(tmp_path).of(base) == hash_folder(CONTENTS)


@pytest.mark.parametrize("name", CONTENTS)
def test_a_changed_file_is_hashed_anew(base, tmp_path, name):
    """A hash that was kept counts for the content that it is of."""
    kept = Hashes(tmp_path)
    kept.of(base)
    kept.save()
    (base / name).write_bytes(b"changed")

    assert Hashes(tmp_path).of(base) == hash_folder({**CONTENTS, name: b"changed"})


def test_what_is_remembered_is_not_read_again(base, tmp_path):
    """A hash that a download has computed is taken over."""
    known = Hashes(tmp_path)
    known.remember(base / "c", "of the download")

    assert known.of(base / "c") == "of the download"
    assert known.of(base / "b") == hashlib.sha256(CONTENTS["b"]).hexdigest()
