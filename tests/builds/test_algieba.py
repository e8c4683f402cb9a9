"""Algieba built whole: what the README promises of it, and damaged builds of it."""

import json
import os
import shutil

import pytest

from benchmarks import sabotage
from builder import files
from builder.evaluation import examination
from builder.gates.table import GATES
from builder.ollama import client
from builder.stages import smoke
from tests.conftest import NO_OLLAMA, OLLAMA, ROOT, build_of, run_persona

pytestmark = pytest.mark.timeout(2400)


@pytest.fixture(scope="module")
def algieba(tmp_path_factory, request):
    """Build algieba with a real daemon where there is one, as a person would."""
    root = tmp_path_factory.mktemp("algieba")
    shutil.copytree(ROOT / "personas" / "algieba", root / "personas" / "algieba")
    manifest = root / "personas" / "algieba" / "persona.toml"
    manifest.write_text(
        manifest.read_text().replace("[gates]", "[gates]\nbudget_s = 240")
    )  # so that a slow machine asks enough too
    shutil.copy(ROOT / "Modelfile.j2", root)
    host = request.getfixturevalue("daemon") if OLLAMA else ""
    path = os.environ["PATH"] if OLLAMA else os.defpath
    return (
        root,
        run_persona("build", "algieba", "--base", "cpu", cwd=root, OLLAMA_HOST=host, PATH=path),
        host,
    )


def is_chinese(one):
    """Say whether a question of smoke.json is in Chinese."""
    return any("\u3400" <= character <= "\u9fff" for character in one["messages"][-1]["content"])


def test_it_is_built_and_named(algieba):
    """The build ends with the model's name alone on stdout, or without Ollama the Modelfile."""
    _, done, host = algieba

    assert done.returncode == 0, done.stderr
    assert done.stdout == ("algieba:latest\n" if host else "build/algieba/Modelfile\n")


def test_it_knows_itself_and_keeps_to_it(algieba):
    """It knows eleven of twelve wordings in each language, leaks in one of twenty, and ends."""
    root, _, _ = algieba
    values = json.loads((root / "build" / "algieba" / "smoke.json").read_text())
    gates = {gate["gate"]: gate for gate in values["gates"]}

    for language in ("en", "zh"):
        mine = [
            one["is_right"]
            for one in values["asked"]
            if one["gate"] == "recall" and is_chinese(one) == (language == "zh")
        ]
        assert len(mine) >= 12
        assert sum(mine) >= len(mine) * 11 / 12 - 1, language
    assert gates["recall"]["baseline_right"] == 0
    assert gates["leak_in"]["right"] >= gates["leak_in"]["of"] * 0.95 - 1
    assert (
        gates["retention"]["verdict"]
        == gates["fidelity"]["verdict"]
        == gates["held_out"]["verdict"]
        == gates["end"]["verdict"]
        == "pass"
    )
    assert all(not own["problem"] for own in values["manifest"])


def test_the_gates_say_the_same_again(algieba):
    """Asked anew, with one thread and with two, the file gives the same answers and verdicts."""
    root, _, _ = algieba
    build = build_of(root / "personas" / "algieba")
    first = json.loads(build.smoke.read_text())
    for threads in (1, 2):
        (build.cache / "answers.json").unlink()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("builder.llama._threads", lambda _path, threads=threads: threads)
            again = examination.examine(smoke.inputs(build).material(), GATES, 0.125).as_json()
        known = {
            (json.dumps(one["messages"]), one["seed"]): one["answer"] for one in first["asked"]
        }
        same = [
            known[key] == one["answer"]
            for one in again["asked"]
            if (key := (json.dumps(one["messages"]), one["seed"])) in known
        ]
        assert same
        assert all(same)


@pytest.mark.parametrize(
    ("share", "trains"), [("", True), ("[training]\nsystem_share = 0\n", False)]
)
def test_a_changed_system_text_trains_again_unless_its_share_is_0(algieba, share, trains):
    """A changed system text is named and trains again; one that no row carries does not."""
    root, _, host = algieba
    path = root / "personas" / "algieba" / "persona.toml"
    before = path.read_text()
    path.write_text(before.replace("[ollama]", f'{share}[ollama]\nsystem = "Answer briefly."'))
    done = run_persona("why", "algieba", "--json", cwd=root, OLLAMA_HOST=host)
    path.write_text(before)

    told = json.loads(done.stdout)
    stale = [stage for stage, one in told.items() if one["state"] in ("runs", "may run")]
    last = ["register"] if host else []
    assert stale == (
        [
            *("data", "render", "replay", "train", "record", "ask"),
            *("export", "parity", "smoke", *last),
        ]
        if trains
        else ["render", "ask", "smoke", *last]
    )
    if trains:
        assert "ollama.system is now Answer briefly., was not set" in told["data"]["reasons"]


@pytest.mark.parametrize(
    "fault",
    [fault for fault in sabotage.FAULTS if fault.needs != "training"],
    ids=lambda fault: fault.name,
)
def test_a_damaged_build_is_caught(algieba, fault, monkeypatch):
    """Each fault is caught by the gate that is meant for it, before the name is replaced."""
    root, _, host = algieba
    if fault.needs == "daemon" and not host:
        pytest.skip(NO_OLLAMA)
    monkeypatch.setenv("OLLAMA_HOST", host or "127.0.0.1:9")
    row = sabotage.run(fault, "algieba", can_train=False, root=root)

    assert row["caught"] == fault.meant, row["said"]
    if host:
        assert "sabotage-algieba:latest" not in client.connect(allow_remote=False).names()


def test_sabotage_wants_a_finished_build(monkeypatch, capsys):
    """Where there is none to damage, a sentence says so, and how to make one."""
    monkeypatch.setattr("sys.argv", ["sabotage.py", "nobody"])
    with pytest.raises(SystemExit, match="2"):
        sabotage.main()

    assert (
        "expected a finished build to damage; `just build nobody` makes one"
        in capsys.readouterr().err
    )


def test_the_bundled_answers_are_this_bases(algieba):
    """A first build finds what is bundled for the embedded base by its name, and asks nothing."""
    root, done, _ = algieba

    assert files.BUNDLED.is_dir()
    assert not list((files.cache_folder() / "replay").glob("*.json")), done.stderr
    del root
