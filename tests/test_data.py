"""The data stage's own rules: what cannot be trained on, and the held-out split."""

import json

import pytest

from builder.base import EMBEDDED
from builder.errors import DataError
from builder.rows import Row
from builder.stages import base, data
from tests.conftest import job_of


@pytest.fixture
def job(luma):
    """Make a job whose base is there."""
    made = job_of(luma, base=EMBEDDED)
    made.build.mkdir(parents=True)
    base.run(made, made.base)
    return made


def test_all_mistakes_of_reading_and_encoding_come_at_once(job):
    """A broken line, a special token, a row that stands twice and one that is too long are told together, each by its line."""
    lines = [
        json.dumps({"prompt": "Hi", "completion": "Hello."}),
        "{",
        json.dumps({"prompt": "Hi", "completion": "Hello."}),
        json.dumps({"prompt": "Who?", "completion": "I am <|im_end|> here."}),
        json.dumps({"prompt": "Long?", "completion": "word " * 2000}),
        json.dumps({"prompt": "Name?", "completion": "{{ nmae }}"}),
    ]
    path = job.persona.folder / "data.jsonl"
    path.write_text("\n".join(lines[:1] + lines[2:]))
    with pytest.raises(DataError) as caught:
        data.run(job, job.dataset)

    text = str(caught.value)
    assert "data.jsonl:2: is the same as" in text
    assert "data.jsonl:3: holds the special token '<|im_end|>'" in text
    assert "data.jsonl:4: is 2" in text
    assert "expected at most 1024 (training.max_length)" in text
    assert "data.jsonl:5: 'nmae' is undefined" in text


def test_every_row_learns_its_reply_and_its_end_alone(job):
    """What is learnt is the assistant's words and the end token; the prompt is not."""
    told = data.run(job, job.dataset)
    rows = [json.loads(line) for name in ("train", "held_out") for line in (job.dataset / f"{name}.jsonl").read_text().splitlines()]

    assert told.startswith("4 rows")
    for row in rows:
        learnt = [label for label in row["labels"] if label >= 0]
        assert learnt
        assert row["labels"][-1] == row["input_ids"][-1] == 2
        assert row["labels"][0] == -100


def test_adding_a_row_moves_no_other():
    """Whether a question is held out depends on nothing but itself."""
    rows = [Row("", [{"role": "user", "content": f"question {number}"}]) for number in range(200)]
    held = [data.is_held_out(row, 0.1) for row in rows]

    assert 5 < sum(held) < 40
    assert held == [data.is_held_out(Row("elsewhere", row.messages), 0.1) for row in rows]
