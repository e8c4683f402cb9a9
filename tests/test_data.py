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
    assert "data.jsonl:5: '{{ nmae }}' is no placeholder" in text


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


# A template that renders alternating turns alone, as Gemma's and Mistral's do.
ALTERNATING = (
    "{% for m in messages %}{% if (m.role == 'user') == (loop.index0 % 2 == 1) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WELCOME = {"role": "assistant", "content": "Welcome!"}
SYSTEM = {"role": "system", "content": "Be brief."}
HI = {"role": "user", "content": "Hi"}
HELLO = {"role": "assistant", "content": "Hello."}


def write_rows(job, *conversations):
    lines = [json.dumps({"messages": messages}) + "\n" for messages in conversations]
    (job.persona.folder / "data.jsonl").write_text("".join(lines))


def test_a_conversation_may_begin_with_the_assistant(job):
    """A chat log whose first turn is the assistant's is trained on, after a system turn too."""
    write_rows(job, [WELCOME, HI, HELLO], [SYSTEM, WELCOME, HI, HELLO])

    data.run(job, job.dataset)

    rows = [json.loads(line) for line in (job.dataset / "train.jsonl").read_text().splitlines()]
    assert [row["messages"][0]["role"] for row in rows] == ["assistant", "system"]
    assert [row["labels"].count(2) for row in rows] == [2, 2]


def test_turns_that_a_template_refuses_have_their_line(job):
    """A conversation that the template cannot render is one sentence with the row's place."""
    (job.base / "chat_template.jinja").write_text(ALTERNATING)
    opened = [WELCOME, HI, HELLO]
    write_rows(job, [HI, HELLO], opened, [SYSTEM, *opened], [HI, HI, HELLO])

    with pytest.raises(DataError) as caught:
        data.run(job, job.dataset)

    told = [problem.rpartition("/")[2] for problem in caught.value.problems]
    sentence = "the chat template cannot render it (Conversation roles must alternate)"
    expected = [f"data.jsonl:{number}: {sentence}" for number in (2, 3, 4)]
    assert [line.partition(", expected")[0] for line in told] == expected
