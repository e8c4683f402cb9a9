"""Loss masks under the chat template of every family, on made-up and on real vocabularies."""

import json
import shutil

import pytest

from builder.bases import families
from builder.data.template import Template
from tests.bases.test_families import OLMO2
from tests.bases.vocabularies import find_tokenizer, read_llama_cpp, read_trl
from tests.data.test_template import Kind, chat, make_base

# By family: the special tokens of its vocabulary, its EOS last, and the original chat template,
# where the family is trained with it.
CHATML_TOKENS = "<|im_start|> <|im_end|>"
GRANITE_TOKENS = "<|start_of_role|> <|end_of_role|> <|end_of_text|>"
LLAMA_TOKENS = "<|begin_of_text|> <|start_header_id|> <|end_header_id|> <|eot_id|>"
GEMMA_TOKENS = "<bos> <start_of_turn> <end_of_turn> <eos>"
MISTRAL_TOKENS = "<s> [INST] [/INST] [SYSTEM_PROMPT] [/SYSTEM_PROMPT] </s>"
PHI = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% else %}<|endoftext|>{% endif %}"
)
BASES = {
    "qwen3-2507": (CHATML_TOKENS, (read_trl, "qwen3_instruct_2507")),
    "qwen3": (CHATML_TOKENS, None),
    "qwen2.5": (CHATML_TOKENS, (read_trl, "qwen2_5")),
    "qwen3.5": (CHATML_TOKENS, None),
    "llama3": (LLAMA_TOKENS, None),
    "gemma3": (GEMMA_TOKENS, None),
    "gemma3-image-text": (GEMMA_TOKENS, None),
    "gemma4": ("<bos> <|turn> <turn|> <eos>", None),
    "mistral-7b": (MISTRAL_TOKENS, None),
    "mistral-nemo": (MISTRAL_TOKENS, None),
    "ministral3": (MISTRAL_TOKENS, None),
    "smollm3": (CHATML_TOKENS, None),
    "granite4": (GRANITE_TOKENS, (read_llama_cpp, "ibm-granite-granite-4.0")),
    "phi4-mini": ("<|user|> <|assistant|> <|system|> <|end|> <|endoftext|>", PHI),
    "olmo2": ("<|endoftext|>", OLMO2),
    "lfm2": ("<|startoftext|> " + CHATML_TOKENS, (read_trl, "lfm2_2_5")),
}
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
        tokens, jinja = BASES[name]
        jinja = jinja if jinja is None or isinstance(jinja, str) else jinja[0](jinja[1])
        written = Kind(jinja, tokens.split()[-1], f"{more} {tokens}")
        folder = make_base(tmp_path / "base", written)
        path = folder / "tokenizer_config.json"
        names = {"bos_token": tokens.split()[0]}
        path.write_text(json.dumps({**json.loads(path.read_text()), **names}))
        return Template(folder, kind, families.find(name))

    return make


def test_every_family_is_here():
    """Each record's template is tried; the embedded base's has tests of its own."""
    assert {*BASES, "smollm2"} == {family.name for family in families.FAMILIES}


@pytest.mark.parametrize("shape", CONVERSATIONS)
@pytest.mark.parametrize("name", BASES)
def test_labels_are_each_reply_to_its_end_of_turn(template_of, name, shape):
    """In every turn, with a system text and without: the reply and its end-of-turn token alone."""
    template, messages = template_of(name), CONVERSATIONS[shape]

    assert template.end_of_turn == families.find(name).end_of_turn
    assert list_labels(template, messages) == expect_labels(name, template.end_of_turn, messages)


@pytest.mark.parametrize("shape", CONVERSATIONS)
@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("kind", ["alpaca", "chatml"])
def test_labels_under_the_templates_of_the_project(template_of, name, kind, shape):
    """Alpaca ends a reply with the base's EOS, ChatML with its own token; the rest is the same."""
    has_chatml = "<|im_end|>" in BASES[name][0]
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
