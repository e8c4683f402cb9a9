"""Hostile archives: each is refused with a sentence, and changes nothing."""

import json
import os
import shutil
import stat
import types
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.archive import placement
from builder.errors import PersonaError
from builder.project import Project
from tests.archive.builds import describe, read_members, snapshot, write_archive

PERSONA, BUILD = "personas/luma/", "build/luma/"
STAMP = BUILD + ".stamps/export.json"


def add(*names):
    """Give an archive members more."""
    return lambda archive, members: write_archive(archive, {**members, **dict.fromkeys(names, b"")})


def change(name, content):
    """Give a member another content, which the list declares."""
    return lambda archive, members: write_archive(archive, {**members, name: content})


def leave_out(name):
    """Leave a member out, of the list too."""
    return lambda archive, members: write_archive(
        archive, {path: content for path, content in members.items() if path != name}
    )


def list_as(**changes):
    """Write a list that says something else."""
    return lambda archive, members: write_archive(archive, members, **changes)


def list_members(edit):
    """Write a list of other members than there are."""

    def write(archive, members):
        listed = [describe(path, content) for path, content in members.items()]
        write_archive(archive, members, members=edit(listed))

    return write


def edit_first(**changes):
    """Write a list that says otherwise of its first member."""
    return list_members(lambda listed: [{**listed[0], **changes}, *listed[1:]])


def of_mode(mode, name=PERSONA + "link"):
    """Add a member that is no ordinary file."""
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return lambda archive, members: write_archive(archive, members, added=[info])


def duplicate(archive, members):
    """Write a member twice, the second time otherwise."""
    write_archive(archive, members)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(archive, "a") as packed:
        packed.writestr(PERSONA + "persona.toml", "")


def compress(archive, members):
    """Write a member that is larger than what is stored of it."""
    write_archive(archive, members)
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(BUILD + "adapter/bomb.json", b"0" * 10_000_000)


def overlap(archive, members):
    """Let the zip's directory name one member's bytes many times, each time as another file."""
    write_archive(archive, members)
    with zipfile.ZipFile(archive, "a") as packed:
        info = packed.getinfo(BUILD + "base/tokenizer.json")
        for at in range(3):
            other = zipfile.ZipInfo(f"{BUILD}base/{at}.json")
            for name in ("header_offset", "CRC", "compress_size", "file_size"):
                setattr(other, name, getattr(info, name))
            packed.filelist.append(other)
        packed._didModify = True


def replace_bytes(old, new):
    """Change bytes of the finished file."""

    def write(archive, members):
        write_archive(archive, members)
        archive.write_bytes(archive.read_bytes().replace(old, new))

    return write


def encrypt(archive, members):
    """Set the flag of an encrypted member in the zip's directory."""
    write_archive(archive, members)
    raw = bytearray(archive.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(raw)


def keep(size_bytes):
    """Cut the file short."""

    def write(archive, members):
        write_archive(archive, members)
        archive.write_bytes(archive.read_bytes()[:size_bytes])

    return write


def lie(archive, members):
    """Let a stamp be true but of another output."""
    stamp = {**json.loads(members[STAMP]), "output": "0" * 64}
    write_archive(archive, {**members, STAMP: json.dumps(stamp).encode()})


def build_on(**changes):
    """Let base.json say that the build is of another base, and its stamp agree."""

    def write(archive, members):
        path = BUILD + "base/base.json"
        facts = {**json.loads(members[path]), **changes}
        members = {name: c for name, c in members.items() if name != BUILD + ".stamps/base.json"}
        write_archive(archive, {**members, path: json.dumps(facts).encode()})

    return write


def profile_as(content):
    """Let the data stage's profile say something else, without a stamp."""

    def write(archive, members):
        del members[BUILD + ".stamps/data.json"]
        path = BUILD + "dataset/profile.json"
        profile = content if isinstance(content, list) else {**json.loads(members[path]), **content}
        write_archive(archive, {**members, path: json.dumps(profile).encode()})

    return write


def make_fifo(archive, _members):
    archive.unlink(missing_ok=True)
    os.mkfifo(archive)


def make_folder(archive, _members):
    archive.unlink(missing_ok=True)
    archive.mkdir()


NO_PART = "is not part of luma"
CASES = {
    "no file": (lambda archive, _: archive.unlink(), "no such file, expected an archive"),
    "a folder": (make_folder, "is a folder, expected a file"),
    "a pipe": (make_fifo, "is a pipe, a socket or a device"),
    "empty": (lambda archive, _: archive.write_bytes(b""), "cannot be read"),
    "no zip": (lambda archive, _: archive.write_text("hello"), "cannot be read"),
    "cut short": (keep(2000), "cannot be read"),
    "damaged": (replace_bytes(b"what export wrote", b"what export wrong"), "Bad CRC-32"),
    "a path out": (add("../evil"), "leaves the folder"),
    "a path out of the persona": (add(PERSONA + "../../evil"), "leaves the folder"),
    "an absolute path": (add("/etc/evil"), "is absolute"),
    "a drive": (add("C:/evil"), "is absolute"),
    "a backslash": (add(PERSONA + "..\\evil"), "is not a plain path"),
    "an empty part": (add(PERSONA + "/x"), "is not a plain path"),
    "a dot": (add(PERSONA + "./data.jsonl"), "is not a plain path"),
    "a control character": (add(PERSONA + "\x1b[2Jx"), r"\x1b[2Jx: is not a plain path"),
    "another direction": (add(PERSONA + "\u202etxt"), r"\u202etxt: is not a plain path"),
    "another persona": (add("personas/nova/persona.toml"), NO_PART),
    "another build": (add("build/nova/model.gguf"), NO_PART),
    "the project's template": (add("Modelfile.j2"), NO_PART),
    "a cache": (add(BUILD + ".cache/hashes.json"), NO_PART),
    "a receipt": (add(BUILD + "registered.json"), NO_PART),
    "a receipt's stamp": (add(BUILD + ".stamps/register.json"), NO_PART),
    "the lock": (add(BUILD + ".lock"), NO_PART),
    "the note of an arrival": (add(BUILD + ".unpacked.json"), NO_PART),
    "a checkpoint": (add(BUILD + ".work/train-0/optimizer.pt"), NO_PART),
    "a pickle": (add(BUILD + "adapter/adapter_model.bin"), NO_PART),
    "a file that the manifest does not name": (
        add(PERSONA + ".bashrc"),
        "is not part of the persona",
    ),
    "a name too long": (add(PERSONA + "x" * 300), "File name too long"),
    "a link": (of_mode(stat.S_IFLNK | 0o777), "is a link"),
    "a device": (of_mode(stat.S_IFCHR | 0o666), "is a folder, a device or a pipe"),
    "a pipe inside": (of_mode(stat.S_IFIFO | 0o666), "is a folder, a device or a pipe"),
    "a folder inside": (of_mode(0, PERSONA + "x/"), "is a folder, a device or a pipe"),
    "twice": (duplicate, "persona.toml: appears twice"),
    "twice, in another case": (add(PERSONA + "DATA.jsonl"), "DATA.jsonl: appears twice"),
    "twice, composed otherwise": (add(PERSONA + "\u00e9", PERSONA + "e\u0301"), "appears twice"),
    "a file and a folder": (add(PERSONA + "data.jsonl/x"), "is a file and a folder"),
    "compressed": (compress, "bomb.json: is compressed"),
    "encrypted": (encrypt, "is encrypted"),
    "one over another": (overlap, "declares"),
    "too many members": (add(*(f"{PERSONA}{at}" for at in range(1001))), "expected at most 1,000"),
    "no list": (replace_bytes(b"archive.json", b"archive.yaml"), "contains no archive.json"),
    "a list of another schema": (list_as(schema=2), "has schema 2, expected 1"),
    "a list without a schema": (list_as(schema="1"), "is not whole"),
    "a list of nothing": (list_as(members=None), "is not whole"),
    "a list with more": (list_as(command="rm"), "is not whole"),
    "a list too long": (list_as(program="x" * 2_000_000), "is over 1,048,576 bytes"),
    "a size below nothing": (edit_first(size_bytes=-1), "is not whole"),
    "another size": (edit_first(size_bytes=7), "archive.json says 7"),
    "another digest": (edit_first(sha256="0" * 64), "does not have the digest"),
    "no digest": (edit_first(sha256="x"), "is not whole"),
    "one not listed": (list_members(lambda listed: listed[1:]), "is not in archive.json"),
    "one listed alone": (
        list_members(lambda listed: [*listed, describe(PERSONA + "x", b"")]),
        "is in archive.json alone",
    ),
    "one listed twice": (list_members(lambda listed: [*listed, listed[0]]), "names a member twice"),
    "a name that is a path": (list_as(persona="../luma"), "is not a persona's name"),
    "a name in capitals": (list_as(persona="Luma"), "is not a persona's name"),
    "another name": (list_as(persona="nova"), "is not part of nova"),
    "a stamp that lies": (lie, "model.gguf: is not what its stamp says"),
    "another file under the stamp": (
        change(BUILD + "model.gguf", b"mine"),
        "model.gguf: is not what its stamp says",
    ),
    "one file more under the stamp": (
        add(BUILD + "adapter/more.safetensors"),
        "adapter: is not what its stamp says",
    ),
    "a stamp without an output": (leave_out(BUILD + "smoke.json"), "smoke.json: is missing"),
    "no model": (leave_out(BUILD + "model.gguf"), "model.gguf: is missing"),
    "no manifest": (leave_out(PERSONA + "persona.toml"), "no such file, expected a manifest"),
    "no rows": (leave_out(PERSONA + "data.jsonl"), "data.jsonl: is missing"),
    "a wrong manifest": (
        change(PERSONA + "persona.toml", b"[data]\nfiles = ['../x']"),
        "luma.persona: personas/luma/persona.toml:2: data.files",
    ),
    "a base in a folder": (build_on(kind="folder", source="/etc"), "names no base of the hub"),
    "a base that is no text": (build_on(source=["x"]), "names no base of the hub"),
    "a profile that is none": (
        profile_as([]),
        "luma.persona: build/luma/dataset/profile.json: cannot be read",
    ),
    "a profile of other types": (
        profile_as({"longest_reply_tokens": "x"}),
        "luma.persona: build/luma/dataset/profile.json: cannot be read",
    ),
}


@pytest.fixture(params=["where nothing is", "over a build"])
def taken(request, home, packed):
    """Give a project, and whether a persona and a build of the name are there."""
    is_replacing = request.param == "over a build"
    if is_replacing:
        placement.unpack(packed, Project(home), is_replacing=False)
        (home / "personas" / "luma" / "data.jsonl").write_text("mine")
        (home / "build" / "luma" / "registered.json").write_text("mine")
    return home, is_replacing


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_archive_is_refused_and_changes_nothing(name, taken, packed):
    """What is wrong is told in a sentence; nothing is written, and what was there stays."""
    spoil, expected = CASES[name]
    home, is_replacing = taken
    before = snapshot(home, packed.parent)
    spoil(packed, read_members(packed))
    before |= snapshot(packed.parent)

    with pytest.raises(PersonaError) as told:
        placement.unpack(packed, Project(home), is_replacing=is_replacing)

    assert expected in str(told.value)
    assert "Traceback" not in str(told.value)
    after = snapshot(home, packed.parent)
    assert {k: v for k, v in after.items() if v != before.get(k)} == {}
    assert sorted(set(before) - set(after)) in ([], [str(packed)])
    if not is_replacing:
        assert not (home / "build" / "luma").exists()
        assert not (home / "personas" / "luma").exists()
    assert not list((home / "personas").glob(".*"))


def test_an_archive_larger_than_the_disk_is_refused(packed, home, monkeypatch):
    """What is declared is compared with what is free, before anything is written."""
    few = types.SimpleNamespace(free=5)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: few)

    with pytest.raises(PersonaError, match="GB free, expected"):
        placement.unpack(packed, Project(home), is_replacing=False)
    assert not (home / "build" / "luma").exists()


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_archive_is_told_or_the_same(packed, tmp_path_factory, data):
    """Whichever bytes are changed or cut off, it is refused with a sentence, or nothing differs."""
    raw = bytearray(packed.read_bytes())
    # The directory and the list at the end decide most; the weights between are under a CRC.
    at = data.draw(st.integers(max(0, len(raw) - 12_000), len(raw) - 1) | st.integers(0, 4_000))
    raw[at] ^= data.draw(st.integers(1, 255))
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(len(raw) - 12_000, len(raw)))]
    root = tmp_path_factory.mktemp("home")
    damaged = root / "damaged.persona"
    damaged.write_bytes(raw)

    try:
        placement.unpack(damaged, Project(root), is_replacing=False)
    except PersonaError:
        assert not list(root.glob("*/luma"))
    else:
        members = read_members(packed)
        assert {name: (root / name).read_bytes() for name in members} == members
