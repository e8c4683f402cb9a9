"""Two builds beside each other."""

import dataclasses
import json
import shutil

import pytest

from builder import comparison
from builder.engine import stamps
from builder.engine.stamps import Description, Stamp
from builder.history import Answer, Gate, Record
from builder.project import REFUSED
from builder.stages import smoke, train
from builder.views import comparison as view
from tests.conftest import run_persona
from tests.pseudoterminal import opened

RECALL = Gate("recall", "pass", "stop", 34, 40, 0, "")
FIRST = Record(
    ended_at="2026-11-26T15:46:34.000001+00:00",
    outcome="refused",
    stopped_at="smoke",
    base="smollm2-135m-instruct",
    rows=40,
    size_bytes=105_000_000,
    settings={"train": {"training.rank": 8, "training.seed": 1}, "data": {"kind": None}},
    contents={"data.jsonl": "a" * 64, "Modelfile.j2": "b" * 64},
    took_s={"train": 80.0},
    gates=[RECALL, Gate("neutral", "pass", "stop", 0, 0, None, "KL 0.804 nats, limit 2")],
    answers=[
        Answer("recall", "Who are you?", "q1", "I am SmolLM, made by Ana.", is_right=False),
        Answer("leak_in", "Name a fruit.", "q2", "An apple.", is_right=True),
        Answer("leak_in", "Name a bird.", "q3", "A gull.", is_right=True),
    ],
)
LAST = dataclasses.replace(
    FIRST,
    ended_at="2026-11-26T16:10:00.000001+00:00",
    outcome="passed",
    stopped_at=None,
    settings={"train": {"training.rank": 16, "training.seed": 1}, "data": {"kind": "identity"}},
    contents={"data.jsonl": "c" * 64, "Modelfile.j2": "b" * 64},
    gates=[dataclasses.replace(RECALL, right=40), Gate("end", "pass", "stop", 0, 0, None, "n")],
    answers=[
        Answer("recall", "Who are you?", "q1", "I am Luma, made by Ana.", is_right=True),
        Answer("leak_in", "Name a fruit.", "q2", "An apple.", is_right=True),
        Answer("leak_in", "Name a fish.", "q4", "\x1b[2J<script>", is_right=True),
    ],
)


def compare(first=FIRST, last=LAST):
    return comparison.compare(first, last, ("before", "last"))


def write(folder, *records):
    (folder / "history").mkdir(parents=True)
    for number, record in enumerate(records):
        text = json.dumps({"schema": 1, **dataclasses.asdict(record)})
        (folder / "history" / f"{number}.json").write_text(text)


@pytest.fixture
def root(luma):
    """A project in which luma was built twice, and ada, whose persona is gone, once."""
    root = luma.parent.parent
    write(root / "build" / "luma", FIRST, LAST)
    write(root / "build" / "ada", FIRST)
    return root


def test_a_stage_that_a_build_did_not_reach_is_not_compared():
    """Of a refused build no setting of Ollama is told as if somebody had removed it."""
    reached = {**LAST.settings, "register": {"ollama.system": "Be brief."}}
    found = compare(last=dataclasses.replace(LAST, settings=reached))

    assert [one.name for one in found.settings] == [one.name for one in compare().settings]


def test_what_differs_and_only_that():
    """Settings, files, figures and answers are paired; what is the same is not told."""
    found = compare()

    assert [(one.name, one.first, one.second) for one in found.settings] == [
        ("training.rank", 8, 16),
        ("kind", None, "identity"),
        ("data.jsonl", "a" * 12, "c" * 12),
    ]
    assert [pair.gate for pair in found.gates] == ["recall", "neutral", "end"]
    assert [(pair.first is None, pair.second is None) for pair in found.gates] == [
        *((False, False), (False, True), (True, False))
    ]
    assert found.asked == 2
    assert [(one.ask, one.first_is_right, one.second_is_right) for one in found.answers] == [
        ("Who are you?", False, True)
    ]


def test_a_setting_of_several_stages_is_told_once():
    """A setting that decides more than one stage differs once; two values of it are told both."""
    first = dataclasses.replace(FIRST, settings={"data": {"s": None}, "smoke": {"s": "x"}})
    last = dataclasses.replace(LAST, settings={"data": {"s": "y"}, "smoke": {"s": "y"}})
    same = dataclasses.replace(LAST, settings={"data": {"s": "y"}, "smoke": {"s": "z"}})

    assert [one.first for one in compare(first, last).settings][:2] == [None, "x"]
    both = dataclasses.replace(first, settings={"data": {"s": "y"}, "smoke": {"s": "y"}})
    doubled = dataclasses.replace(same, settings={"data": {"s": "z"}, "smoke": {"s": "z"}})
    assert [one.name for one in compare(both, doubled).settings] == ["s", "data.jsonl"]


def test_the_words_that_differ_are_highlighted():
    """Only they have a style; control characters are escapes."""
    first, second = view.mark("I am SmolLM, made\nby Ana.\x1b[2J", "I am Luma, made by Ana.")

    assert first.plain == "I am SmolLM, made by Ana.\\x1b[2J"
    assert "SmolLM" in [first.plain[span.start : span.end] for span in first.spans]
    assert [second.plain[span.start : span.end] for span in second.spans] == ["Luma"]


def test_long_answers_are_shortened_to_where_they_differ():
    """Of 100 kB the part is shown in which they begin to differ, by dots that it is one."""
    same = "The sea is wide. " * 3000
    first, second = view.mark(f"{same}A gull. {same}", f"{same}A tern. {same}")

    assert first.plain.startswith("…")
    assert first.plain.endswith("…")
    assert "A gull." in first.plain
    assert "A tern." in second.plain
    assert len(first.plain) <= 250


def test_the_last_two_builds_are_shown(root):
    """`diff NAME` tells both ends, settings, gates and answers, one beside the other."""
    done = run_persona("diff", "luma", cwd=root)
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]

    assert done.returncode == 0, done.stderr
    assert "ended 2026-11-26 15:46 UTC 2026-11-26 16:10 UTC" in lines
    assert "outcome refused passed" in lines
    assert "training.rank 8 16" in lines
    assert "kind - identity" in lines
    assert "recall pass, 34 of 40 pass, 40 of 40" in lines
    assert "end - pass, n" in lines
    assert "answers that differ: 1 of 2 that both were asked" in lines
    assert "wrong: I am SmolLM, made by Ana. right: I am Luma, made by Ana." in lines


def test_the_name_of_a_gate_cannot_forge_a_line(root):
    """A history that somebody wrote by hand is shown as what it is."""
    name = "x\x1b[31m\nFORGED"
    ends = [
        dataclasses.replace(end, answers=[dataclasses.replace(end.answers[0], gate=name)])
        for end in (FIRST, LAST)
    ]
    shutil.rmtree(root / "build" / "luma")
    write(root / "build" / "luma", *ends)

    done = run_persona("diff", "luma", cwd=root)

    assert "FORGED: Who are you?" in done.stdout
    assert "\x1b" not in done.stdout
    assert not any(line.startswith("FORGED") for line in done.stdout.splitlines())


def test_two_personas_are_compared_by_their_last_builds(root):
    """`diff NAME OTHER` heads its columns by their names; a persona may be gone."""
    done = run_persona("diff", "ada", "luma", cwd=root)

    assert done.stdout.splitlines()[0].split() == ["ada", "luma"]
    assert "training.rank" in done.stdout


def test_all_of_it_is_json(root):
    """`--json` gives one object, with each answer whole."""
    found = json.loads(run_persona("diff", "luma", "--json", cwd=root).stdout)

    assert found["settings"][0] == {"name": "training.rank", "first": 8, "second": 16}
    assert found["answers"][0]["second"] == "I am Luma, made by Ana."
    assert found["first"]["outcome"] == "refused"


def test_equal_builds_say_so(root):
    """A persona compared with itself differs in nothing."""
    done = run_persona("diff", "luma", "luma", cwd=root)

    assert "settings that differ\nnone\n" in done.stdout
    assert "answers that differ: 0 of 3" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ada"], "build/ada/history: has 1 build that came to the gates, expected two"),
        (["ada"], "hint: change something, then just build ada"),
        (["luma", "nova"], "build/nova/history: has 0 builds that came to the gates, expected"),
        (["luma", "luna"], "build/luna: no such build, expected one; did you mean 'luma'?"),
        (["luma", "../x"], "is a path, expected the name of a folder in personas/"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(luma, root, arguments, said):
    """Too few builds, or no such name, is told with what was expected."""
    shutil.copytree(luma, luma.with_name("nova"))
    done = run_persona("diff", *arguments, cwd=root)

    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("error: ") == 1


@pytest.fixture
def unfinished(root):
    """The same project, in which new builds of luma and ada were cut short after training."""
    for name in ("luma", "ada"):
        (root / "build" / name / ".stamps").mkdir()
        description = Description(train.VERSION, {}, {})
        stamp = Stamp(description, train.NAME, "done", took_s=None, tools={})
        stamps.write(root / "build" / name, train.NAME, stamp)
    return root


def test_a_build_that_is_unfinished_is_not_compared(unfinished):
    """The two before it are, and it is said how to go on with it."""
    done = run_persona("diff", "luma", cwd=unfinished)

    assert done.returncode == 0
    assert "the present build of luma has not come to the gates, and is not compared" in done.stderr
    assert "`just build luma` goes on with it" in done.stderr


def test_a_build_that_another_version_examined_is_not_called_unfinished(unfinished):
    """Its record cannot be read, and the two builds before it are compared all the same."""
    folder = unfinished / "build" / "luma"
    (folder / "logs").mkdir(exist_ok=True)
    (folder / REFUSED).write_text('{"schema": 0}')
    stamps.note_failure(folder, smoke.NAME, "recall 3/40")
    done = run_persona("diff", "luma", cwd=unfinished)

    assert done.returncode == 0
    assert "has not come to the gates" not in done.stderr


def test_an_unfinished_build_needs_no_change(unfinished):
    """Where one build is too few, finishing the next one is enough."""
    done = run_persona("diff", "ada", cwd=unfinished)

    assert done.returncode == 1
    assert "hint: just build ada" in done.stderr


@pytest.mark.parametrize("environment", [{}, {"TERM": "dumb"}], ids=["xterm", "dumb"])
def test_twenty_columns_have_one_below_the_other(root, environment):
    """On a narrow terminal each value and answer stands on its own, after its name."""
    with opened("diff", "luma", cwd=root, columns=20, **environment) as terminal:
        assert terminal.end() == 0
        text = " ".join(terminal.text.split())
        assert "training.rank before: 8 last: 16" in text
        assert "before: wrong: I am SmolLM, made by Ana. last: right: I am Luma" in text
        assert ("\x1b" in terminal.seen) != bool(environment)


def test_a_terminal_shows_them_in_colour(root):
    """Differences are coloured where colours are wanted."""
    with opened("diff", "luma", cwd=root) as terminal:
        assert terminal.end() == 0
        assert "SmolLM\x1b[0m" in terminal.seen
    with opened("diff", "luma", cwd=root, NO_COLOR="1") as terminal:
        assert terminal.end() == 0
        assert "[1;33m" not in terminal.seen


def test_a_locale_without_utf_8_compares(root):
    """Where the encoding lacks a character it is an escape."""
    write(root / "build" / "bo", dataclasses.replace(LAST, base="所有者"))
    done = run_persona("diff", "luma", "bo", cwd=root, LC_ALL="C", PYTHONIOENCODING="ascii")

    assert done.returncode == 0, done.stderr
    assert "\\u6240" in done.stdout
