"""The data stage's own rules: what cannot be trained on, and the held-out split."""

import json

import pytest

from builder.bases.base import EMBEDDED
from builder.data import dataset
from builder.data.rows import Row
from builder.errors import DataError
from builder.stages import base, data
from tests.conftest import MANIFEST, job_of


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
    rows = [
        json.loads(line)
        for name in ("train", "held_out")
        for line in (job.dataset / f"{name}.jsonl").read_text().splitlines()
    ]

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


def train_rows(job, text):
    """Run the data stage with a system text, and read what is trained on."""
    (job.persona.folder / "persona.toml").write_text(
        f'{MANIFEST}[ollama]\nsystem = "Be brief."\n{text}'
    )
    job = job_of(job.persona.folder, base=EMBEDDED)
    data.run(job, job.dataset)
    return dataset.read_examples(job.dataset / dataset.TRAIN)


def test_rows_carry_the_served_system_text_in_half_of_their_repeats(job):
    """Each row comes with the text and without, equally often; the labels are the same."""
    examples = train_rows(job, "")
    forms = {
        has_system: [one for one in examples if one.has_system is has_system]
        for has_system in (True, False)
    }

    assert len(forms[True]) == len(forms[False]) == 4
    for served, plain in zip(forms[True], forms[False], strict=True):
        assert served.messages == [{"role": "system", "content": "Be brief."}, *plain.messages]
        assert [label for label in served.labels if label >= 0] == [
            label for label in plain.labels if label >= 0
        ]
        assert served.repeats == plain.repeats


def test_a_system_text_of_share_0_is_no_input(job):
    """With system_share = 0 no row carries it, and a change of it leaves the stage's settings as they were."""
    examples = train_rows(job, "[training]\nsystem_share = 0\n")

    assert not any(one.has_system for one in examples)
    assert data.settings(job_of(job.persona.folder))["ollama.system"] is None


def test_a_row_with_a_system_turn_of_its_own_keeps_it(job):
    """The served text is not put before it; it comes as often as the others."""
    row = {
        "messages": [
            {"role": "system", "content": "Mine."},
            *[{"role": role, "content": "Hi"} for role in ("user", "assistant")],
        ]
    }
    (job.persona.folder / "data.jsonl").write_text(json.dumps(row) + "\n")
    examples = train_rows(job, "")

    assert [(one.messages[0]["content"], one.has_system) for one in examples] == [("Mine.", False)]
    assert examples[0].repeats == dataset.read_profile(job.dataset).schedule.repeats


def test_a_special_token_in_the_system_text_is_told(job):
    """What the base's tokenizer takes for a special token is refused before anything is trained."""
    job.persona.manifest.ollama.__dict__["system"] = "End with <repo_name>."
    with pytest.raises(DataError, match=r"ollama\.system: holds the special token"):
        data.run(job, job.dataset)


def test_few_rows_are_told_before_training(job, caplog):
    """Fewer than were ever seen to pass are told, with that number."""
    data.run(job, job.dataset)

    assert "4 rows may be too few for an identity: 10 are the fewest" in caplog.text


@pytest.mark.parametrize(
    ("rows", "share", "some_held"), [(99, None, False), (200, None, True), (50, 0.3, True)]
)
def test_few_rows_are_all_trained_on(rows, share, some_held):
    """Below a hundred none is held out, unless the manifest asks."""
    made = [Row("", [{"role": "user", "content": f"question {number}"}]) for number in range(rows)]

    assert any(data.choose_held_out(made, share)) is some_held
