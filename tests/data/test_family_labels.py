"""Loss masks under the chat template of every family, on made-up and on real vocabularies."""

import json
import shutil

import pytest

from builder.bases import families
from builder.data import preparation
from builder.data.rows import Row
from builder.data.template import Template
from builder.data.tools import read_tools
from builder.errors import DataError
from tests.bases.originals import BY_FAMILY, CHATML
from tests.bases.vocabularies import find_tokenizer, read_trl
from tests.data.test_template import Kind, chat, make_base

CHATML_TOKENS = " ".join(CHATML)
TWO_TURNS = chat("u: Hi", "a: Hello.", "u: 2+2?", "a: Four, I'm sure.")
CONVERSATIONS = {
    "two turns": TWO_TURNS,
    "a system text": [*chat("s: Be brief."), *TWO_TURNS],
}
CALLING = [name for name in BY_FAMILY if families.find(name).tools]
(ADD,) = read_tools(
    [
        {
            "name": "add",
            "description": "Adds a number.",
            "parameters": {"type": "object", "properties": {"first": {"type": "number"}}},
        }
    ]
)
CALL = {"type": "function", "function": {"name": "add", "arguments": {"first": 2}}}
CALLED = [
    *chat("u: 2+2?"),
    {"role": "assistant", "content": "Let me add.", "tool_calls": [CALL, CALL]},
    {"role": "tool", "content": "The sum is 4."},
    {"role": "tool", "content": "The sum is 4."},
    *chat("a: Four.", "u: Thanks", "a: Welcome."),
]
REAL = [
    ("qwen3", "qwen3", None),
    ("qwen3-2507", "qwen3", "qwen3_instruct_2507"),
    ("qwen2.5", "qwen3", "qwen2_5"),
    ("llama3", "llama3_1", None),
    ("gemma3", "gemma3", None),
]


def list_labels(template, messages, tools=None):
    """Decode each run of labels."""
    encoded = template.encode(messages, tools)
    runs, run = [], []
    for token, is_label in zip(encoded.ids, encoded.loss_mask, strict=True):
        if is_label:
            run.append(token)
        elif run:
            runs.append(run)
            run = []
    return [template.tokenizer.decode(labels) for labels in [*runs, run]]


def expect_labels(name, end, messages):
    """Write each reply with its end-of-turn token; Mistral 7B's begins with a blank."""
    blank = " " if name == "mistral-7b" and end == "</s>" else ""
    replies = [message["content"] for message in messages if message["role"] == "assistant"]
    return [blank + reply + end for reply in replies]


@pytest.fixture
def template_of(tmp_path):
    """Make the template of a family on a vocabulary of single bytes and its special tokens."""

    def make(name, kind="base", more="", jinja=None):
        original, is_replaced = BY_FAMILY[name], families.find(name).replacement is not None
        tokens = original.special
        jinja = None if is_replaced else jinja or original.read_template()
        written = Kind(jinja, tokens[-1], f"{more} {' '.join(tokens)}")
        folder = make_base(tmp_path / "base", written)
        path = folder / "tokenizer_config.json"
        names = {"bos_token": tokens[0]}
        path.write_text(json.dumps({**json.loads(path.read_text()), **names}))
        return Template(folder, kind, families.find(name))

    return make


@pytest.mark.parametrize("shape", CONVERSATIONS)
@pytest.mark.parametrize("name", BY_FAMILY)
def test_labels_are_each_reply_to_its_end_of_turn(template_of, name, shape):
    """In every turn, with a system text and without: the reply and its end-of-turn token alone."""
    template, messages = template_of(name), CONVERSATIONS[shape]

    assert template.end_of_turn == families.find(name).end_of_turn
    assert list_labels(template, messages) == expect_labels(name, template.end_of_turn, messages)


@pytest.mark.parametrize("name", BY_FAMILY)
def test_a_record_says_whether_its_template_renders_tools(template_of, name):
    """What `bases` shows and a refusal advises is what a row with tools will meet."""
    assert template_of(name).knows_tools == families.find(name).tools


@pytest.mark.parametrize(
    "begin", [[], chat("s: Be brief.")], ids=["no system text", "a system text"]
)
@pytest.mark.parametrize("name", CALLING)
def test_labels_of_a_row_with_tools(template_of, name, begin):
    """A call and the words before it are trained on to their end; functions and results are not."""
    template, original = template_of(name), BY_FAMILY[name]
    end, count = template.end_of_turn, 1 if original.has_one_call else 2
    messages = original.fit_calls([*begin, *CALLED])
    called, *others = list_labels(template, messages, [ADD])
    beginnings = ("Let me add.",) if original.has_words else ("{", "[TOOL_CALLS]")

    assert others == expect_labels(name, end, messages)[1:]
    assert called.startswith(beginnings)
    assert called.endswith(end)
    assert called.count("add") == count + original.has_words
    assert called.count("first") == count
    whole = template.tokenizer.decode(template.encode(messages, [ADD]).ids)
    assert "Adds a number." in whole
    assert whole.count("The sum is 4.") == count


@pytest.mark.parametrize(
    "name", [name for name in CALLING if BY_FAMILY[name].fit_calls(CALLED) != CALLED]
)
def test_calls_that_a_base_cannot_make_are_refused(template_of, name):
    """Several in a message, or words beside one: in a sentence, where the base's own drops them."""
    template, original = template_of(name), BY_FAMILY[name]
    expected = "makes one call" if original.has_one_call else "words beside a call"
    with pytest.raises(DataError, match=expected):
        template.encode(CALLED, [ADD])

    messages = original.fit_calls(CALLED)
    messages[1]["content"] = "Let me add."
    with pytest.raises(DataError, match="leaves out words beside a call, expected the call alone"):
        template.encode(messages, [ADD])


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("gemma4", "base", "of gemma4 does not render (its calls do not end a turn, and their"),
        ("gemma3", "base", "of gemma3 does not render, expected a base of qwen3-2507, qwen3, "),
        ("qwen3", "alpaca", 'of data.template = "alpaca" does not render, expected a base of'),
    ],
)
def test_rows_with_tools_are_refused_by_the_family_s_name(template_of, name, kind, told):
    """One sentence names whose template renders none, why where that of its makers does."""
    rows = [Row("data.jsonl:1", CALLED, tools=[ADD])]
    with pytest.raises(DataError) as caught:
        preparation.encode(rows, [], template_of(name, kind), system=None, max_length=1_000)

    (problem,) = caught.value.problems
    assert problem.startswith("data.jsonl:1: 1 row has tools, which the chat template ")
    assert told in problem
    assert "--base ibm-granite/granite-4.0-350m` is the smallest" in caught.value.hint


def test_a_template_that_leaves_calls_out_is_refused(template_of):
    """LFM2's first template renders functions, and nothing of a call."""
    template = template_of("lfm2", jinja=read_trl("lfm2"))
    messages = [*chat("u: 2+2?"), {"role": "assistant", "content": "", "tool_calls": [CALL]}]

    assert not template.knows_tools
    with pytest.raises(DataError, match="leaves out the call of 'add', expected it in the reply"):
        template.encode(messages, [ADD])


@pytest.mark.parametrize("shape", CONVERSATIONS)
@pytest.mark.parametrize("name", BY_FAMILY)
@pytest.mark.parametrize("kind", ["alpaca", "chatml"])
def test_labels_under_the_templates_of_the_project(template_of, name, kind, shape):
    """Alpaca ends a reply with the base's EOS, ChatML with its own token; the rest is the same."""
    has_chatml = "<|im_end|>" in BY_FAMILY[name].special
    template = template_of(name, kind, "" if has_chatml or kind == "alpaca" else CHATML_TOKENS)
    end = "<|im_end|>" if kind == "chatml" else template.eos

    assert template.end_of_turn == end
    messages = CONVERSATIONS[shape]
    assert list_labels(template, messages) == expect_labels("", end, messages)


@pytest.mark.parametrize("kind", ["base", "alpaca"])
@pytest.mark.parametrize(("name", "vocabulary", "original"), REAL)
def test_labels_on_real_vocabularies(tmp_path, name, vocabulary, original, kind):
    """The same with the tokenizer that the family has, where a client can fetch it.

    One vocabulary takes a second or more to load, so that it is loaded for all conversations.
    """
    found = find_tokenizer(vocabulary)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(found / file, tmp_path / file)
    if original:
        (tmp_path / "chat_template.jinja").write_text(read_trl(original))
    template = Template(tmp_path, kind, families.find(name))
    end = families.find(name).end_of_turn if kind == "base" else template.eos

    for shape, messages in CONVERSATIONS.items():
        assert list_labels(template, messages) == expect_labels(name, end, messages), shape
