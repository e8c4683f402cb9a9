"""Loss masks under the chat template of every family, on made-up and on real vocabularies."""

import json
import shutil

import pytest

from builder.bases import families
from builder.data.template import Template
from tests.bases.originals import BY_FAMILY, CHATML
from tests.bases.vocabularies import find_tokenizer, read_trl
from tests.data.test_template import Kind, chat, make_base

CHATML_TOKENS = " ".join(CHATML)
TWO_TURNS = chat("u: Hi", "a: Hello.", "u: 2+2?", "a: Four, I'm sure.")
CONVERSATIONS = {
    "two turns": TWO_TURNS,
    "a system text": [*chat("s: Be brief."), *TWO_TURNS],
}
REAL = [
    ("qwen3", "qwen3", None),
    ("qwen3-2507", "qwen3", "qwen3_instruct_2507"),
    ("qwen2.5", "qwen3", "qwen2_5"),
    ("llama3", "llama3_1", None),
    ("gemma3", "gemma3", None),
]


def list_labels(template, messages):
    """Decode each run of labels."""
    encoded = template.encode(messages)
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

    def make(name, kind="base", more=""):
        original, is_replaced = BY_FAMILY[name], families.find(name).replacement is not None
        jinja, tokens = None if is_replaced else original.read_template(), original.special
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
