"""What is checked of all stages before the first of them runs."""

import json

import pytest

from builder.engine import pipeline
from builder.errors import PersonaError
from builder.targets import MODEL
from builder.terminal.console import Console
from tests.conftest import build_of, run_persona


def test_mistakes_of_rows_and_of_the_modelfile_are_told_in_one_round(luma):
    """Each stage is checked, whatever another one refuses."""
    rows = luma / "data.jsonl"
    rows.write_text(rows.read_text() + '{"prompt": "Hi"}\n')
    (luma.parent.parent / "Modelfile.j2").write_text("FROM {{ nobody }}\n")
    build = build_of(luma)

    planned = pipeline.plan(build, MODEL)
    with pytest.raises(PersonaError) as caught:
        pipeline.run(build, MODEL, Console())

    assert planned.problem.problems == caught.value.problems
    told = [problem.partition(":")[0].rpartition("/")[2] for problem in caught.value.problems]
    assert told == ["data.jsonl", "Modelfile.j2"]
    assert len(set(caught.value.problems)) == 2


def test_why_lists_the_stages_and_then_what_would_stop_them(luma):
    """A problem of one stage hides no reason of the others, in words or as JSON."""
    root = luma.parent.parent
    (root / "Modelfile.j2").write_text("FROM {{ nobody }}\n")

    done = run_persona("why", "luma", cwd=root)
    as_json = run_persona("why", "luma", "--json", cwd=root)

    assert (done.returncode, as_json.returncode) == (1, 1)
    assert [line.split()[0] for line in done.stdout.splitlines()] == [one.NAME for one in MODEL]
    assert "expected a Jinja template of a Modelfile" in done.stderr
    assert list(json.loads(as_json.stdout)) == [one.NAME for one in MODEL]
