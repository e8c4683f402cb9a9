"""What is checked of all stages before the first of them runs."""

import pytest

from builder.engine import pipeline
from builder.errors import PersonaError
from builder.targets import MODEL
from tests.conftest import build_of


def test_mistakes_of_rows_and_of_the_modelfile_are_told_in_one_round(luma):
    """Each stage is checked, whatever another one refuses."""
    rows = luma / "data.jsonl"
    rows.write_text(rows.read_text() + '{"prompt": "Hi"}\n')
    (luma.parent.parent / "Modelfile.j2").write_text("FROM {{ nobody }}\n")
    build = build_of(luma)

    with pytest.raises(PersonaError) as caught:
        pipeline.plan(build, MODEL)

    told = [problem.partition(":")[0].rpartition("/")[2] for problem in caught.value.problems]
    assert told == ["data.jsonl", "Modelfile.j2"]
    assert len(set(caught.value.problems)) == 2
