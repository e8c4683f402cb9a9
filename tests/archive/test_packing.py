"""What is packed on one machine goes on, on another."""

import json
import os
import zipfile

import pytest

from builder.archive import placement, writer
from builder.errors import PersonaError, ToolError
from builder.project import Project
from builder.stages import smoke
from tests.archive.builds import HEAVY, LISTING, finish, pretend, read_members, snapshot
from tests.bases.checkpoints import make_tiny_base
from tests.conftest import build_of, run_persona


def why(root):
    told = json.loads(run_persona("why", "luma", "--json", cwd=root, OLLAMA_HOST="").stdout)
    return {stage: one["reasons"] for stage, one in told.items()}


def test_an_unpacked_build_runs_only_what_the_machine_must(built, home):
    """In another project every stage is fresh but for the gates, which are asked anew."""
    root = built.modelfile_template.parent
    assert why(root)["smoke"] == []
    done = run_persona("pack", "luma", cwd=root)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "luma.persona\n"
    assert "build/luma/model.gguf" in done.stderr

    unpacked = run_persona("unpack", str(root / "luma.persona"), cwd=home)
    reasons = why(home)

    assert unpacked.returncode == 0, unpacked.stderr
    assert unpacked.stdout == "luma\n"
    assert {name: why for name, why in reasons.items() if why and name != "register"} == {
        "smoke": ["was examined on another machine"]
    }
    pretend(smoke, build_of(home / "personas" / "luma"))
    smoke.note(build_of(home / "personas" / "luma"))
    assert why(home)["smoke"] == []


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_what_would_stop_a_build_there_is_told_and_no_error(built, packed, home, form):
    """It is in place all the same; unpacking it again would not help."""
    writer.write(built, packed)

    done = run_persona("unpack", str(packed), *form, cwd=home, OLLAMA_HOST="192.0.2.1:1")

    assert done.returncode == 0, done.stderr
    problem = "http://192.0.2.1:1: is not this machine, expected a daemon on loopback"
    if form:
        assert json.loads(done.stdout)["problems"] == [problem]
    else:
        told = f"it is in place, and this would stop `just build luma` here:\n  {problem}\nhint: "
        assert told in done.stderr
        assert done.stdout == "luma\n"


def test_what_was_unpacked_is_what_was_packed(built, packed, home):
    """Every output, stamp and file of the persona arrives byte for byte, and nothing else."""
    (built.persona.folder / "notes.txt").write_text("private")
    (built.folder / "registered.json").write_text("{}")
    root = built.modelfile_template.parent
    writer.write(built, packed)

    placement.unpack(packed, Project(home), is_replacing=False)

    before = snapshot(root / "personas", root / "build")
    after = snapshot(home / "personas", home / "build")
    left_out = ("notes.txt", "registered.json")
    expected = {
        path.replace(str(root), str(home)): content
        for path, content in before.items()
        if not path.endswith(left_out) and "/logs/" not in path
    }
    arrival = after.pop(str(home / "build" / "luma" / ".unpacked.json"))
    assert json.loads(arrival) == {"schema": 1}
    assert after == expected


def test_an_archive_names_no_path_of_this_machine_and_holds_no_pickle(built, packed):
    """No member holds the project's path, and none is a pickle or a compressed file."""
    root = str(built.modelfile_template.parent).encode()

    for path, content in read_members(packed).items():
        assert root not in content, path
        assert not path.endswith((".bin", ".pt", ".pkl")), path
        assert not content.startswith((b"\x80", b"PK")), path
    with zipfile.ZipFile(packed) as archive:
        assert {one.compress_type for one in archive.infolist()} == {zipfile.ZIP_STORED}


def test_equal_builds_give_equal_archives(built, packed, tmp_path):
    """Nothing of the time is in an archive, and its list has the size and digest of each member."""
    again = tmp_path / "again"
    listing = writer.write(built, again)

    assert again.read_bytes() == packed.read_bytes()
    with zipfile.ZipFile(again) as archive:
        assert json.loads(archive.read(LISTING)) == json.loads(
            listing.model_dump_json(by_alias=True)
        )


def test_a_refused_build_is_packed_without_its_gates(luma, home, tmp_path):
    """Where the gates are stale all else travels; its gates are asked where it is unpacked."""
    build = finish(luma, [stage for stage in HEAVY if stage is not smoke])
    out = tmp_path / "out"
    writer.write(build, out)

    placement.unpack(out, Project(home), is_replacing=False)
    assert why(home)["smoke"] == ["never built"]
    assert why(home)["parity"] == []


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda b: (b.persona.folder / "data.jsonl").write_text("{}"), "data is stale"),
        (lambda b: (b.folder / ".stamps" / "train.json").unlink(), "train is stale (never built)"),
        (lambda b: b.gguf.unlink(), "export is stale (model.gguf is missing)"),
        (lambda b: b.gguf.write_text("mine"), "was edited by hand"),
    ],
)
def test_an_unfinished_build_is_not_packed(built, tmp_path, spoil, expected):
    """A stale stage is named with its reason, and no file is written."""
    spoil(built)

    with pytest.raises(PersonaError) as told:
        writer.write(built, tmp_path / "out")
    assert expected in str(told.value)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_a_base_in_a_folder_does_not_travel(luma, tmp_path):
    """A build on a folder of this machine is refused by name: elsewhere there is no such folder."""
    tiny = tmp_path / "tiny"
    tiny.mkdir()
    make_tiny_base(tiny)
    build = finish(luma, base=str(tiny))

    with pytest.raises(ToolError, match=f"is built on the folder {tiny}"):
        writer.write(build, tmp_path / "out")


@pytest.mark.timeout(60)
def test_a_pipe_or_a_device_is_not_read_to_its_end(built, tmp_path):
    """--output into what is no file is one sentence: reading it would wait, or fill the memory."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(ToolError, match="exists and is not an archive, expected a new file"):
        writer.write(built, pipe)
    assert pipe.is_fifo()


def test_a_file_that_is_no_archive_is_not_overwritten(built):
    """--output never replaces a file that somebody wrote."""
    file = built.persona.folder / "data.jsonl"
    before = file.read_bytes()

    with pytest.raises(ToolError, match="is not an archive"):
        writer.write(built, file)
    assert file.read_bytes() == before


def test_json_tells_what_is_packed_and_what_runs(built, home):
    """Both commands print one object on standard output with --json."""
    root = built.modelfile_template.parent
    told = json.loads(run_persona("pack", "luma", "-o", str(home), "--json", cwd=root).stdout)
    file = home / "luma.persona"
    assert told["file"] == str(file)
    assert told["size_bytes"] == file.stat().st_size
    assert {"path", "size_bytes", "sha256"} == set(told["members"][0])

    done = run_persona("unpack", str(file), "--json", cwd=home, OLLAMA_HOST="")
    assert json.loads(done.stdout)["persona"] == "luma"
    assert json.loads(done.stdout)["stale"]["smoke"] == ["was examined on another machine"]
