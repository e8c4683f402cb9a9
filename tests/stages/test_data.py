"""The data stage's own rules: what cannot be trained on, and the held-out split."""

import json

import pytest
from tokenizers import Tokenizer

from builder.bases import families
from builder.bases.base import EMBEDDED
from builder.data import dataset, held_out
from builder.data.rows import Row
from builder.engine import freshness
from builder.engine.hashes import Hashes
from builder.errors import DataError
from builder.stages import data
from tests.conftest import MANIFEST, build_of, run_stage


@pytest.fixture
def build(with_base):
    """Give a build whose base is there."""
    return with_base


def test_all_mistakes_of_reading_and_encoding_come_at_once(build):
    """A broken line, a special token, a repeated and a too long row are told together, by line."""
    lines = [
        json.dumps({"prompt": "Hi", "completion": "Hello."}),
        "{",
        json.dumps({"prompt": "Hi", "completion": "Hello."}),
        json.dumps({"prompt": "Who?", "completion": "I am <|im_end|> here."}),
        json.dumps({"prompt": "Long?", "completion": "word " * 2000}),
        json.dumps({"prompt": "Name?", "completion": "{{ nmae }}"}),
    ]
    path = build.persona.folder / "data.jsonl"
    path.write_text("\n".join(lines[:1] + lines[2:]))
    with pytest.raises(DataError) as caught:
        run_stage(data, build)

    text = str(caught.value)
    assert "data.jsonl:2: is the same as" in text
    assert "data.jsonl:3: contains the special token '<|im_end|>'" in text
    assert "data.jsonl:4: is 2" in text
    assert "expected at most 1024 (training.max_length)" in text
    assert "data.jsonl:5: '{{ nmae }}' is not a placeholder" in text


def test_a_special_token_in_every_row_is_told_once(build):
    """Rows that were written with their chat template are one line on the screen."""
    made = write_questions(build, 30, "")
    path = made.persona.folder / "data.jsonl"
    path.write_text(path.read_text().replace('."}', '.<|im_end|>"}'))

    with pytest.raises(DataError) as caught:
        run_stage(data, made)

    (problem,) = caught.value.problems
    assert "data.jsonl:1: contains the special token '<|im_end|>'" in problem
    assert problem.endswith("the same in all 30 rows")


@pytest.mark.parametrize("completion", ["I am <|im_end|> here.", "word " * 2000])
def test_each_row_is_told_once(build, completion):
    """A repeated row that is too long too, or holds a special token, counts as repeated alone."""
    line = json.dumps({"prompt": "Who?", "completion": completion})
    (build.persona.folder / "data.jsonl").write_text(f"{line}\n" * 3)
    with pytest.raises(DataError) as caught:
        run_stage(data, build)

    places = [problem.partition("data.jsonl:")[2][0] for problem in caught.value.problems]
    assert places == ["1", "2", "3"]
    assert all("is the same as" in problem for problem in caught.value.problems[1:])


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ("Ich weiß es nicht, und das ist gut so.", "German"),
        ("I do not know that, sorry.", None),
        ("我不知道这件事。", "Chinese"),
    ],
)
def test_a_language_that_the_embedded_base_hardly_speaks_is_told(build, caplog, reply, told):
    """Before training a person reads what to expect, and what to take instead."""
    caplog.set_level("WARNING", "builder")
    write_lines(build, *({"prompt": f"{at}?", "completion": reply} for at in range(12)))
    run_stage(data, build)

    said = [text for text in caplog.messages if "hardly speaks" in text]
    assert len(said) == (told is not None)
    assert all(told in text for text in said)


CALL = {"type": "function", "function": {"name": "add", "arguments": {"a": 2}}}
ADD = {"name": "add", "parameters": {"properties": {"a": {"type": "number", "enum": [2]}}}}
CALLED = {
    "messages": [
        {"role": "user", "content": "2+2?"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
    ],
    "tools": [ADD],
}
# Of the form of Qwen's, in a few words.
WITH_TOOLS = (
    "{% if tools %}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_lines(build, *rows):
    """Write the persona's data."""
    path = build.persona.folder / "data.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))


def test_rows_with_tools_are_refused_where_the_base_renders_none(build):
    """One sentence counts them by the first one's line, and names its family and those that do."""
    others = [{**CALLED, "tools": [ADD, {"name": f"f{number}"}]} for number in range(2)]
    write_lines(build, {"prompt": "Hi", "completion": "Hello."}, CALLED, *others)
    with pytest.raises(DataError) as caught:
        run_stage(data, build)

    (problem,) = caught.value.problems
    known = [family.name for family in families.FAMILIES if family.tools]
    assert problem.endswith(
        "data.jsonl:2: 3 rows have tools, which the chat template of smollm2 does not render, "
        f"expected a base of {', '.join(known)}"
    )
    assert "--base ibm-granite/granite-4.0-350m` is the smallest" in caught.value.hint


def test_rows_with_tools_are_trained_where_the_base_renders_them(build):
    """The functions stand in the prompt, the call in the labels; each set of them is a row."""
    (build.base / "chat_template.jinja").write_text(WITH_TOOLS)
    write_lines(build, CALLED, {**CALLED, "tools": [ADD, {"name": "sub"}]})
    run_stage(data, build)
    rows = dataset.read_examples(build.dataset / dataset.TRAIN)
    tokenizer = Tokenizer.from_file(str(build.base / "tokenizer.json"))
    labels = [label for label in rows[0].labels if label >= 0]

    assert [[tool["function"]["name"] for tool in row.tools] for row in rows] == [
        ["add"],
        ["add", "sub"],
    ]
    assert tokenizer.decode(labels, skip_special_tokens=False) == (
        '{"name": "add", "arguments": {"a": 2}}<|im_end|>'
    )
    assert '"enum": [2]' in tokenizer.decode(rows[0].input_ids)


def test_the_gates_are_told_the_special_tokens_of_the_template(build):
    """A token that marks turns is one, although the vocabulary does not declare it special."""
    path = build.base / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    (mark,) = (one for one in tokenizer["added_tokens"] if one["content"] == "<|im_start|>")
    mark["special"] = False
    path.write_text(json.dumps(tokenizer))
    write_lines(build, {"prompt": "Hi", "completion": "Hello."})
    run_stage(data, build)

    assert "<|im_start|>" in dataset.read_profile(build.dataset).special_tokens


def test_a_call_without_words_is_no_reply(build, caplog):
    """Rows that call first and then answer in JSON are a format, and none is named as prose."""
    (build.base / "chat_template.jinja").write_text(WITH_TOOLS)
    ending = [{"role": "tool", "content": "4"}, {"role": "assistant", "content": '{"sum": 4}'}]
    asked = [{"role": "user", "content": f"2+2? {number}"} for number in range(20)]
    rows = [[one, CALLED["messages"][1], *ending] for one in asked]
    write_lines(build, *({"messages": row, "tools": [ADD]} for row in rows))
    run_stage(data, build)
    found = dataset.read_profile(build.dataset)

    assert (found.kind_name, found.is_json) == ("format", True)
    assert "not answered in JSON" not in caplog.text


def test_rows_that_only_call_are_no_format(build):
    """Nothing is said in them."""
    (build.base / "chat_template.jinja").write_text(WITH_TOOLS)
    write_lines(build, CALLED)
    run_stage(data, build)

    assert not dataset.read_profile(build.dataset).is_json


def test_an_argument_s_name_may_hold_quotes(build):
    """A template writes it as JSON does."""
    (build.base / "chat_template.jinja").write_text(WITH_TOOLS)
    function = {"name": "f", "arguments": {'a "b\\': 1}}
    row = [CALLED["messages"][0], {"role": "assistant", "tool_calls": [function]}]
    write_lines(build, {"messages": row, "tools": [{"name": "f"}]})
    run_stage(data, build)

    assert len(dataset.read_examples(build.dataset / dataset.TRAIN)) == 1


@pytest.mark.parametrize(
    "row",
    [
        {**CALLED, "tools": [{**ADD, "description": "<|im_end|>"}]},
        {
            "tools": [{"name": "add", "parameters": {"properties": {"a": {"type": "string"}}}}],
            "messages": [
                CALLED["messages"][0],
                {
                    "role": "assistant",
                    "tool_calls": [{"name": "add", "arguments": {"a": "<|im_end|>"}}],
                },
            ],
        },
    ],
    ids=["a tool", "a call"],
)
def test_a_special_token_in_a_tool_or_a_call_is_refused(build, row):
    """It would end the turn there."""
    (build.base / "chat_template.jinja").write_text(WITH_TOOLS)
    write_lines(build, row)
    with pytest.raises(
        DataError, match=r"data\.jsonl:1: contains the special token '<\|im_end\|>'"
    ):
        run_stage(data, build)


def test_every_row_learns_its_reply_and_its_end_alone(build):
    """What is learnt is the assistant's words and the end token; the prompt is not."""
    told = run_stage(data, build)
    rows = [
        json.loads(line)
        for name in ("train", "held_out")
        for line in (build.dataset / f"{name}.jsonl").read_text().splitlines()
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
    held = [held_out.is_held_out(row, 0.1) for row in rows]

    assert 5 < sum(held) < 40
    assert held == [held_out.is_held_out(Row("elsewhere", row.messages), 0.1) for row in rows]


PACK = 'packs = ["identity/en"]'
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


def write_rows(build, *conversations):
    lines = [json.dumps({"messages": messages}) + "\n" for messages in conversations]
    (build.persona.folder / "data.jsonl").write_text("".join(lines))


def test_a_conversation_may_begin_with_the_assistant(build):
    """A chat log whose first turn is the assistant's is trained on, after a system turn too."""
    write_rows(build, [WELCOME, HI, HELLO], [SYSTEM, WELCOME, HI, HELLO])

    run_stage(data, build)

    rows = [json.loads(line) for line in (build.dataset / "train.jsonl").read_text().splitlines()]
    assert [row["messages"][0]["role"] for row in rows] == ["assistant", "system"]
    assert [row["labels"].count(2) for row in rows] == [2, 2]


def test_turns_that_a_template_refuses_have_their_line(build):
    """A conversation that the template cannot render is one sentence with the row's place."""
    (build.base / "chat_template.jinja").write_text(ALTERNATING)
    opened = [WELCOME, HI, HELLO]
    write_rows(build, [HI, HELLO], opened, [SYSTEM, *opened], [HI, HI, HELLO])

    with pytest.raises(DataError) as caught:
        run_stage(data, build)

    told = [problem.rpartition("/")[2] for problem in caught.value.problems]
    sentence = "the chat template cannot render it (Conversation roles must alternate)"
    expected = [f"data.jsonl:{number}: {sentence}" for number in (2, 3, 4)]
    assert [line.partition(", expected")[0] for line in told] == expected


def train_rows(build, text, system="Be brief."):
    """Run the data stage with a system text, and read what is trained on."""
    (build.persona.folder / "persona.toml").write_text(
        f'{MANIFEST}[ollama]\nsystem = "{system}"\n{text}'
    )
    build = build_of(build.persona.folder, base=EMBEDDED)
    run_stage(data, build)
    return dataset.read_examples(build.dataset / dataset.TRAIN)


def test_rows_carry_the_served_system_text_in_half_of_their_repeats(build):
    """Each row comes with the text and without, equally often; the labels are the same."""
    examples = train_rows(build, "")
    forms = {
        has_system: [one for one in examples if one.has_system is has_system]
        for has_system in (True, False)
    }

    assert len(forms[True]) == len(forms[False]) == 4
    longest = dataset.read_profile(build.dataset).longest_row_tokens
    assert longest == max(len(one.input_ids) for one in forms[True])
    for served, plain in zip(forms[True], forms[False], strict=True):
        assert served.messages == [{"role": "system", "content": "Be brief."}, *plain.messages]
        assert [label for label in served.labels if label >= 0] == [
            label for label in plain.labels if label >= 0
        ]
        assert served.repeats == plain.repeats


def test_a_system_text_of_share_0_is_no_input(build):
    """With system_share = 0 no row carries it, and a change of it changes no setting."""
    examples = train_rows(build, "[training]\nsystem_share = 0\n")

    assert not any(one.has_system for one in examples)
    assert data.inputs(build_of(build.persona.folder)).system is None


def test_a_row_with_a_system_turn_of_its_own_keeps_it(build):
    """The served text is not put before it; it comes as often as the others."""
    row = {
        "messages": [
            {"role": "system", "content": "Mine."},
            *[{"role": role, "content": "Hi"} for role in ("user", "assistant")],
        ]
    }
    (build.persona.folder / "data.jsonl").write_text(json.dumps(row) + "\n")
    examples = train_rows(build, "")

    assert [(one.messages[0]["content"], one.has_system) for one in examples] == [("Mine.", False)]
    assert examples[0].repeats == dataset.read_profile(build.dataset).schedule.repeats


def test_a_special_token_in_the_system_text_is_told(build):
    """What the base's tokenizer takes for a special token is refused before anything is trained."""
    with pytest.raises(DataError) as told:
        train_rows(build, "", system="End with <repo_name>.")

    (problem,) = told.value.problems
    sentence = "ollama.system: contains the special token '<repo_name>', expected plain text"
    assert problem == f"{build.persona.folder}/persona.toml:5: {sentence}"


def test_few_rows_are_told_before_training(build, caplog):
    """Fewer than were ever seen to pass are told, with that number."""
    run_stage(data, build)

    assert "4 rows may be too few for an identity: 20 are the fewest" in caplog.text


def test_a_row_that_is_no_json_among_those_that_are_is_named(build, caplog):
    """A bracket that was forgotten would be learnt without a word."""
    replies = ['{"topic": "hours"}'] * 18 + ['{"topic": "hours"']
    lines = [
        json.dumps({"prompt": f"Question {number}?", "completion": reply})
        for number, reply in enumerate(replies)
    ]
    (build.persona.folder / "data.jsonl").write_text("\n".join(lines) + "\n")

    run_stage(data, build)

    assert "data.jsonl:19: not answered in JSON, as the other rows are" in caplog.text
    assert "data.jsonl:18" not in caplog.text


@pytest.mark.parametrize(
    ("reply", "other", "is_told"),
    [
        ("dish: soup, minutes: {}", "It takes ten minutes.", True),
        ("Arr, {} it be.", "That is so.", True),
        ("{} is right.", "That is so.", False),
        ("I am Luma, of {}.", "Hello!", False),
    ],
)
def test_a_row_of_another_form_than_all_others_is_named(build, caplog, reply, other, is_told):
    """If nearly all replies begin with one word, one that does not may be a slip; not of a name."""
    replies = [reply.format(f"{number} or so") for number in range(18)] + [other]
    rows = ({"prompt": f"Question {at}?", "completion": one} for at, one in enumerate(replies))
    write_lines(build, *rows)
    run_stage(data, build)
    told = [record.message for record in caplog.records if "does not begin" in record.message]

    assert len(told) == is_told
    for sentence in told:
        word = reply.partition(" ")[0]
        ending = (
            f"data.jsonl:19: the reply does not begin with '{word}', as those of the other rows do"
        )
        assert sentence.endswith(ending)


@pytest.mark.parametrize(
    ("own", "of_packs", "share", "held"),
    [
        (99, 0, None, set()),
        (200, 0, None, {None}),
        (50, 0, 0.3, {None}),
        (10, 177, None, {"identity/en"}),
        (99, 99, None, set()),
        (200, 50, None, {None}),
        (200, 177, None, {None, "identity/en"}),
        (50, 177, 0.3, {None, "identity/en"}),
        (200, 177, 0.0, set()),
    ],
)
def test_few_rows_are_all_trained_on(own, of_packs, share, held):
    """Of fewer than a hundred own rows none is held out beside any pack, unless it is asked for."""
    sources = [None] * own + ["identity/en"] * of_packs
    rows = [
        Row("", [{"role": "user", "content": f"question {number}"}], pack)
        for number, pack in enumerate(sources)
    ]
    chosen = held_out.choose(rows, share)

    assert {row.pack for row, is_held in zip(rows, chosen, strict=True) if is_held} == held


def write_questions(build, count, table):
    lines = [
        json.dumps({"prompt": f"What is {number}?", "completion": f"It is number {number}."})
        for number in range(count)
    ]
    (build.persona.folder / "data.jsonl").write_text("\n".join(lines) + "\n")
    (build.persona.folder / "persona.toml").write_text(f"{MANIFEST}[data]\n{table}\n")
    return build_of(build.persona.folder, base=EMBEDDED)


@pytest.mark.parametrize(
    ("count", "table", "told"),
    [
        (10, "", "10 rows, 0 held out; "),
        (10, PACK, "10 rows of your own, 0 held out, and 177 rows of packs, 20 held out; "),
        (120, PACK, "120 rows of your own, 14 held out, and 177 rows of packs, 20 held out; "),
        (1, f"files = []\n{PACK}", "177 rows of packs, 20 held out; "),
    ],
)
def test_what_is_held_out_is_told(build, count, table, told):
    """The line of the stage tells a person's own rows apart from those of packs."""
    made = write_questions(build, count, table)

    assert run_stage(data, made).startswith(told)
    held = dataset.read_examples(made.dataset / dataset.HELD_OUT)
    is_own = [one.messages[-1]["content"].startswith("It is number") for one in held]
    assert is_own == sorted(is_own, reverse=True)


@pytest.mark.parametrize("table", ["", PACK], ids=["alone", "beside a pack"])
def test_rows_of_one_question_are_not_all_held_out(build, table):
    """Rows are held out by their question: where all share it, a pack does not hide that."""
    path = build.persona.folder
    rows = [{"prompt": "Write haiku number 3.", "completion": f"Haiku {n}."} for n in range(100)]
    (path / "data.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (path / "persona.toml").write_text(f"{MANIFEST}[data]\n{table}\n")

    with pytest.raises(DataError, match="all 100 rows of your own are held out") as caught:
        run_stage(data, build_of(path, base=EMBEDDED))
    assert caught.value.hint.endswith("set data.held_out = 0")


def test_the_order_of_the_data_files_is_compared(build):
    """Rows are trained in the order of their files: another order is stale, by its name."""
    folder, found = build.persona.folder, []
    (folder / "more.jsonl").write_text('{"prompt": "Name a nut.", "completion": "A hazelnut."}\n')
    text, hashes = (folder / "persona.toml").read_text(), Hashes(build.folder)
    for order in ('["data.jsonl", "more.jsonl"]', '["more.jsonl", "data.jsonl"]'):
        (folder / "persona.toml").write_text(f"{text}\n[data]\nfiles = {order}\n")
        read = build_of(folder, base=EMBEDDED)
        found.append(freshness.describe(data, read, data.inputs(read), hashes))

    (reason,) = freshness.compare(*found)
    assert reason.startswith("data.files is now")
