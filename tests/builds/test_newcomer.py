"""The README's first persona, built as the README says, and the voice and the format beside it."""

import json
import os
import shutil

import pytest

from builder.data import dataset
from tests.conftest import NO_OLLAMA, OLLAMA, ROOT, run_persona
from tests.pages import find_transcripts, normalise
from tests.personas import voice

pytestmark = pytest.mark.timeout(2400)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project of the personas that come with it."""
    root = tmp_path_factory.mktemp("newcomer")
    for name in ("luma", "keeper", "helpdesk"):
        shutil.copytree(ROOT / "personas" / name, root / "personas" / name)
    shutil.copy(ROOT / "Modelfile.j2", root)
    return root


@pytest.fixture(scope="module", params=["luma", "keeper", "helpdesk"])
def built(project, request):
    """Build one, with a real daemon where there is one."""
    name = request.param
    host = request.getfixturevalue("daemon") if OLLAMA else ""
    path = os.environ["PATH"] if OLLAMA else os.defpath
    return (
        name,
        project,
        run_persona("build", name, "--base", "cpu", cwd=project, OLLAMA_HOST=host, PATH=path),
        host,
    )


def test_it_passes_its_gates(built):
    """Each is built and named with every limit at its default, and tells how to talk to it."""
    name, _, done, host = built

    assert done.returncode == 0, done.stderr
    assert done.stdout == (f"{name}:latest\n" if host else f"build/{name}/Modelfile\n")
    assert f"talk to it: {f'ollama run {name}' if host else f'just chat {name}'}" in done.stderr


def check_shown(kind, printed):
    """Compare the docs' transcripts of a kind with what was printed, line by line in order.

    The wording is compared; figures, times and answers, which differ from machine to machine, are
    not, and a transcript may leave lines out.
    """
    for shown in find_transcripts(kind):
        lines = iter([normalise(line) for line in printed.splitlines()])
        for line in filter(None, map(normalise, shown)):
            assert line in lines, (kind, line, printed)  # which goes on behind the line before


@pytest.mark.parametrize("built", ["luma"], indirect=True)
def test_it_prints_what_the_docs_show(built):
    """The stages, the end and the name: README and docs/first-persona.md, but for figures."""
    _, root, done, host = built
    if not host:
        pytest.skip(NO_OLLAMA)

    check_shown("stages", done.stderr)
    check_shown("end", done.stderr + done.stdout)
    answer = run_persona("chat", "luma", "Who are you?", cwd=root).stdout
    for (shown,) in find_transcripts("answer"):
        assert all(name in answer and name in shown for name in ("Luma", "Ana"))


@pytest.mark.parametrize("built", ["luma"], indirect=True)
def test_why_says_what_the_docs_show(built):
    """After another learning rate, as docs/decisions.md shows it, figures included."""
    name, root, _, host = built
    manifest = root / "personas" / name / "persona.toml"
    before = manifest.read_text()
    manifest.write_text(before + "[training]\nlearning_rate = 0.0001\n")
    done = run_persona("why", name, cwd=root, OLLAMA_HOST=host)
    manifest.write_text(before)

    for shown in find_transcripts("why"):
        assert set(shown) <= set(done.stdout.splitlines()), done.stdout


@pytest.mark.parametrize("built", ["luma"], indirect=True)
def test_a_refusal_says_what_the_docs_show(built):
    """A recall of 0.99, which luma does not reach, is refused as docs/refused.md shows it."""
    name, root, _, host = built
    manifest = root / "personas" / name / "persona.toml"
    before = manifest.read_text()
    manifest.write_text(before + "[gates]\nrecall = 0.99\n")
    path = os.environ["PATH"] if OLLAMA else os.defpath
    done = run_persona("build", name, cwd=root, OLLAMA_HOST=host, PATH=path)
    manifest.write_text(before)

    assert done.returncode == 1
    check_shown("refusal", done.stderr)


def test_it_answers_what_it_is_for(built):
    """Luma knows and keeps in its name; the keeper keeps its voice, the helpdesk its JSON."""
    name, root, _, _ = built

    def say(question):
        return run_persona("chat", name, question, cwd=root).stdout.strip()

    if name == "luma":
        assert "Luma" in say("What is your name?")
        assert "Luma" not in say("Name a fruit.")
    elif voice.has_rule(name):
        rule = voice.read_rule(name)
        assert sum(rule.is_met_by(say(question)) for question in rule.questions[:6]) >= 5
    else:
        assert json.loads(say("Hello")).keys() == {"topic", "reply"}


def test_a_named_persona_is_balanced_by_the_bases_own_answers(built):
    """Each of six repeats in an epoch brings twenty of them; a voice and a format get none."""
    name, root, _, _ = built
    replayed = dataset.read_examples(root / "build" / name / "replay.jsonl")

    assert len(replayed) == (6 * 20 if name == "luma" else 0)


@pytest.mark.parametrize("built", ["keeper"], indirect=True)
def test_a_gate_that_fails_can_be_let_through(built):
    """A wrong answer stops the build; with --anyway the model is registered, and listed so."""
    name, root, _, host = built
    manifest = root / "personas" / name / "persona.toml"
    before = manifest.read_text()
    manifest.write_text(before + '[[smoke.questions]]\nask = "Hello"\nmust = ["bicycle"]\n')
    path = os.environ["PATH"] if OLLAMA else os.defpath
    refused = run_persona("build", name, cwd=root, OLLAMA_HOST=host, PATH=path)
    through = run_persona("build", name, "--anyway", cwd=root, OLLAMA_HOST=host, PATH=path)
    listed = run_persona("list", cwd=root).stdout
    manifest.write_text(before)

    assert refused.returncode == 1
    assert "lacks 'bicycle'" in refused.stderr
    assert "--anyway" in refused.stderr
    assert through.returncode == 0, through.stderr
    assert json.loads((root / "build" / name / "smoke.json").read_text())["failed"] == ["smoke"]
    if host:
        assert "  --anyway  " in listed
