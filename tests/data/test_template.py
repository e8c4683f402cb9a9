"""How a conversation becomes ids and a loss mask, under templates of the families people use."""

import json
import shutil
from dataclasses import dataclass

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from builder.bases import base, families, fetch
from builder.data.template import Template
from builder.errors import DataError, ToolError

EMBEDDED = base.Base(base.EMBEDDED, "embedded", "test", base.EMBEDDED, "test", four_bit=False)
OTHER = families.find("")


def write_jinja(turn, prompt="", closing=""):
    """Write a template: what it writes for each turn `m`, before an answer, and at the end."""
    turns = "{% for m in messages %}" + turn + "{% endfor %}{% if add_generation_prompt %}"
    return turns + prompt + "{% else %}" + closing + "{% endif %}"


def write_turn(user, assistant):
    """Write a turn by its role."""
    return "{% if m.role == 'user' %}" + user + "{% else %}" + assistant + "{% endif %}"


# Each after the shape of a family's own: what marks turns, and what raises.
CHATML_TURN = "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
CHATML = write_jinja(CHATML_TURN, "<|im_start|>assistant\n")
PHI_TURN = "<|{{ m.role }}|>\n{{ m.content }}<|end|>\n"
PHI = write_jinja(PHI_TURN, "<|assistant|>\n", closing="<|endoftext|>")
RAISING = "{{ raise_exception('roles') }}"
ALTERNATING = "{% if (m.role == 'user') == (loop.index0 % 2 == 1) %}" + RAISING + "{% endif %}"
GEMMA_ROLE = "<start_of_turn>{{ 'user' if m.role == 'user' else 'model' }}\n"
GEMMA_TURN = GEMMA_ROLE + "{{ m.content | trim }}<end_of_turn>\n"
GEMMA = "<bos>" + write_jinja(ALTERNATING + GEMMA_TURN, "<start_of_turn>model\n")
MISTRAL_TURN = write_turn("[INST]{{ m.content }}[/INST]", "{{ m.content }}</s>")
MISTRAL = "<s>" + write_jinja(ALTERNATING + MISTRAL_TURN)
# Llama 2 writes blanks around each reply.
LLAMA_2 = write_jinja(write_turn("<s>[INST] {{ m.content }} [/INST]", " {{ m.content }} </s>"))
# Llama 3 looks at the first message, which no empty conversation has.
LLAMA_ROLE = "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
LLAMA_TURN = LLAMA_ROLE + "{{ m.content | trim }}<|eot_id|>"
LLAMA_PROMPT = LLAMA_ROLE.replace("{{ m.role }}", "assistant")
LLAMA_BEGIN = "{% set first = messages[0].role %}<|begin_of_text|>"
LLAMA = LLAMA_BEGIN + write_jinja(LLAMA_TURN, LLAMA_PROMPT)
GPT_OSS_USER = "<|start|>user<|message|>{{ m.content }}<|end|>"
GPT_OSS_REPLY = "<|start|>assistant<|channel|>final<|message|>{{ m.content }}"
GPT_OSS_END = "{{ '<|return|>' if loop.last else '<|end|>' }}"
GPT_OSS_TURN = write_turn(GPT_OSS_USER, GPT_OSS_REPLY + GPT_OSS_END)
GPT_OSS = write_jinja(GPT_OSS_TURN, "<|start|>assistant")


@dataclass(frozen=True)
class Kind:
    """A chat template and the added tokens of its vocabulary."""

    jinja: str | None
    eos: str
    special: str
    """Its special tokens, a blank between them."""
    plain: tuple[str, ...] = ()
    """Added tokens that are not special."""
    options: tuple[str, ...] = ()
    """Options of the special tokens: `rstrip`, `single_word`."""


PHI_TOKENS = "<|endoftext|> <|end|> <|user|> <|system|> <|assistant|>"
KINDS = {
    "chatml": Kind(CHATML, "<|im_end|>", "<|im_start|> <|im_end|>"),
    "phi": Kind(PHI, "<|endoftext|>", PHI_TOKENS),
    # In Phi-3.5's vocabulary each token takes the line end after it with it.
    "phi, line ends taken": Kind(PHI, "<|endoftext|>", PHI_TOKENS, options=("rstrip",)),
    # Google's EOS; in the first releases the turns' tokens are not marked as special.
    "gemma": Kind(
        GEMMA,
        "<eos>",
        "<bos> <eos>",
        plain=("<start_of_turn>", "<end_of_turn>", "\n\n", "<b>"),
    ),
    "mistral": Kind(MISTRAL, "</s>", "<s> </s> [INST] [/INST]"),
    "llama 2": Kind(LLAMA_2, "</s>", "<s> </s>"),
    "llama 3": Kind(
        LLAMA,
        "<|eot_id|>",
        "<|begin_of_text|> <|start_header_id|> <|end_header_id|> <|eot_id|>",
    ),
    "gpt-oss": Kind(
        GPT_OSS,
        "<|return|>",
        "<|start|> <|channel|> <|message|> <|end|> <|return|>",
    ),
}


def make_base(folder, kind):
    """Write a tokenizer of single bytes and added tokens, with a chat template."""
    letters = {letter: at for at, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(letters, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    options = dict.fromkeys(kind.options, True)
    tokenizer.add_special_tokens([AddedToken(token, **options) for token in kind.special.split()])
    tokenizer.add_tokens([AddedToken(token, special=False) for token in kind.plain])
    saved = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=kind.eos)
    saved.chat_template = kind.jinja
    saved.save_pretrained(folder)
    return folder


@pytest.fixture
def template_of(tmp_path):
    """Make the template of a kind by its name, or of one given."""

    def make(kind, template="base"):
        kind = KINDS[kind] if isinstance(kind, str) else kind
        return Template(make_base(tmp_path / "base", kind), template, OTHER)

    return make


def chat(*turns):
    """Write a conversation of (u)ser, (a)ssistant and (s)ystem turns."""
    roles = {"u": "user", "a": "assistant", "s": "system"}
    return [{"role": roles[turn[0]], "content": turn[3:]} for turn in turns]


TWO_TURNS = chat("u: Hi", "a: Hello.", "u: 2+2?", "a: Four.")
ONE_TURN = chat("u: Hi", "a: Hello.")
WITH_SYSTEM = chat("s: Be brief.", "u: Hi", "a: Hello.", "u: 2+2?", "a: Four.")
TWO_QUESTIONS = chat("u: Hi", "u: 2+2?", "a: Four.")
OPENED = chat("a: Welcome!", "u: Hi", "a: Hello.")
OPENED_WITH_SYSTEM = chat("s: Be brief.", "a: Welcome!", "u: Hi", "a: Hello.")


def mark_labels(template, messages):
    """Write out a row's ids as text, with «» around each run of labels."""
    encoded = template.encode(messages)
    text, was_label = "", False
    for token, is_label in zip(encoded.ids, encoded.loss_mask, strict=True):
        text += "«" if is_label and not was_label else "»" if was_label and not is_label else ""
        text += template.tokenizer.decode([token])
        was_label = is_label
    return text + "»" * was_label


# By kind and conversation: what each turn becomes, a line a turn.
LABELS = [
    (
        "chatml",
        TWO_TURNS,
        [
            "<|im_start|>user\nHi<|im_end|>\n",
            "<|im_start|>assistant\n«Hello.<|im_end|>»\n",
            "<|im_start|>user\n2+2?<|im_end|>\n",
            "<|im_start|>assistant\n«Four.<|im_end|>»",
        ],
    ),
    (
        "phi",
        TWO_TURNS,
        [
            "<|user|>\nHi<|end|>\n",
            "<|assistant|>\n«Hello.<|end|>»\n",
            "<|user|>\n2+2?<|end|>\n",
            "<|assistant|>\n«Four.<|end|>»",
        ],
    ),
    (
        "phi",
        OPENED_WITH_SYSTEM,
        [
            "<|system|>\nBe brief.<|end|>\n",
            "<|assistant|>\n«Welcome!<|end|>»\n",
            "<|user|>\nHi<|end|>\n",
            "<|assistant|>\n«Hello.<|end|>»",
        ],
    ),
    (
        "phi, line ends taken",
        TWO_TURNS,
        [
            "<|user|>Hi<|end|>",
            "<|assistant|>«Hello.<|end|>»",
            "<|user|>2+2?<|end|>",
            "<|assistant|>«Four.<|end|>»",
        ],
    ),
    (
        "gemma",
        TWO_TURNS,
        [
            "<bos><start_of_turn>user\nHi<end_of_turn>\n",
            "<start_of_turn>model\n«Hello.<end_of_turn>»\n",
            "<start_of_turn>user\n2+2?<end_of_turn>\n",
            "<start_of_turn>model\n«Four.<end_of_turn>»",
        ],
    ),
    (
        "mistral",
        TWO_TURNS,
        ["<s>[INST]Hi[/INST]", "«Hello.</s>»", "[INST]2+2?[/INST]", "«Four.</s>»"],
    ),
    (
        "llama 3",
        WITH_SYSTEM,
        [
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>",
            "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>",
            "<|start_header_id|>assistant<|end_header_id|>\n\n«Hello.<|eot_id|>»",
            "<|start_header_id|>user<|end_header_id|>\n\n2+2?<|eot_id|>",
            "<|start_header_id|>assistant<|end_header_id|>\n\n«Four.<|eot_id|>»",
        ],
    ),
    (
        "llama 3",
        OPENED,
        [
            "<|begin_of_text|>",
            "<|start_header_id|>assistant<|end_header_id|>\n\n«Welcome!<|eot_id|>»",
            "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>",
            "<|start_header_id|>assistant<|end_header_id|>\n\n«Hello.<|eot_id|>»",
        ],
    ),
    (
        "llama 2",
        TWO_TURNS,
        ["<s>[INST] Hi [/INST]", "« Hello. </s>»", "<s>[INST] 2+2? [/INST]", "« Four. </s>»"],
    ),
    ("llama 2", OPENED, ["« Welcome! </s>»", "<s>[INST] Hi [/INST]", "« Hello. </s>»"]),
]


@pytest.mark.parametrize(("kind", "messages", "expected"), LABELS)
def test_labels_are_each_reply_and_its_end_of_turn(template_of, kind, messages, expected):
    """A reply is a label up to the token that ends its turn, and the user's words never are."""
    assert mark_labels(template_of(kind), messages) == "".join(expected)


# By template, on the embedded base.
EMBEDDED_LABELS = [
    (
        "base",
        TWO_TURNS,
        [
            "<|im_start|>user\nHi<|im_end|>\n",
            "<|im_start|>assistant\n«Hello.<|im_end|>»\n",
            "<|im_start|>user\n2+2?<|im_end|>\n",
            "<|im_start|>assistant\n«Four.<|im_end|>»",
        ],
    ),
    (
        "base",
        OPENED,
        [
            "<|im_start|>assistant\n«Welcome!<|im_end|>»\n",
            "<|im_start|>user\nHi<|im_end|>\n",
            "<|im_start|>assistant\n«Hello.<|im_end|>»",
        ],
    ),
    (
        "base",
        OPENED_WITH_SYSTEM,
        [
            "<|im_start|>system\nBe brief.<|im_end|>\n",
            "<|im_start|>assistant\n«Welcome!<|im_end|>»\n",
            "<|im_start|>user\nHi<|im_end|>\n",
            "<|im_start|>assistant\n«Hello.<|im_end|>»",
        ],
    ),
    (
        "base",
        TWO_QUESTIONS,
        [
            "<|im_start|>user\nHi<|im_end|>\n",
            "<|im_start|>user\n2+2?<|im_end|>\n",
            "<|im_start|>assistant\n«Four.<|im_end|>»",
        ],
    ),
    (
        "chatml",
        WITH_SYSTEM,
        [
            "<|im_start|>system\nBe brief.<|im_end|>\n",
            "<|im_start|>user\nHi<|im_end|>\n",
            "<|im_start|>assistant\n«Hello.<|im_end|>»\n",
            "<|im_start|>user\n2+2?<|im_end|>\n",
            "<|im_start|>assistant\n«Four.<|im_end|>»",
        ],
    ),
    (
        "alpaca",
        WITH_SYSTEM,
        [
            "Be brief.\n\n",
            "### Instruction:\nHi\n\n",
            "### Response:\n«Hello.<|im_end|>»\n\n",
            "### Instruction:\n2+2?\n\n",
            "### Response:\n«Four.<|im_end|>»",
        ],
    ),
    (
        "alpaca",
        OPENED,
        [
            "### Response:\n«Welcome!<|im_end|>»\n\n",
            "### Instruction:\nHi\n\n",
            "### Response:\n«Hello.<|im_end|>»",
        ],
    ),
]


@pytest.mark.parametrize(("template", "messages", "expected"), EMBEDDED_LABELS)
def test_labels_on_the_embedded_base(template, messages, expected):
    """Its own template, ChatML and Alpaca label each reply and its EOS, whoever speaks first."""
    made = Template(fetch.find_weights(EMBEDDED), template, EMBEDDED.family)

    assert mark_labels(made, messages) == "".join(expected)


@pytest.mark.parametrize(
    ("kind", "token"),
    [
        ("chatml", "<|im_end|>"),
        ("phi", "<|end|>"),
        ("gemma", "<end_of_turn>"),
        ("mistral", "</s>"),
        ("llama 3", "<|eot_id|>"),
        ("llama 2", "</s>"),
    ],
)
def test_the_end_of_turn_is_what_follows_a_reply(template_of, kind, token):
    """It is read off the template, not taken from the tokenizer's EOS; rows end with its id."""
    template = template_of(kind)

    assert template.end_of_turn == token
    assert template.tokenizer.convert_ids_to_tokens(template.end_of_turn_id) == token
    assert template.encode(TWO_TURNS).labels()[-1] == template.end_of_turn_id


def test_chatml_ends_with_its_own_token(template_of):
    """A base whose EOS is another token can be trained under ChatML where it has ChatML's."""
    kind = Kind(PHI, "<|end|>", "<|im_start|> <|im_end|> <|end|>")

    assert template_of(kind, "chatml").end_of_turn == "<|im_end|>"


ENDLESS = "ends a reply with no special token"
UNTRAINABLE = [
    # llama.cpp stops gpt-oss at <|return|> alone, which its earlier replies do not end with.
    (
        KINDS["gpt-oss"],
        "base",
        "ends the last reply with '<|return|>' and those before it with '<|end|>'",
        "alpaca",
    ),
    (Kind(write_jinja("{{ m.content }}"), "<|im_end|>", "<|im_end|>"), "base", ENDLESS, "chatml"),
    # A line end that is a token of its own is no end of a turn.
    (
        Kind(write_jinja("{{ m.content }}\n"), "</s>", "</s>", plain=("\n",)),
        "base",
        ENDLESS,
        "alpaca",
    ),
    # What begins the next turn does not end this one.
    (Kind(write_jinja("<|x|>{{ m.content }}"), "</s>", "</s> <|x|>"), "base", ENDLESS, "alpaca"),
    (KINDS["llama 3"], "chatml", ENDLESS, "alpaca"),
    (
        Kind("{{ raise_exception('no tools') }}", "</s>", "</s>"),
        "base",
        "cannot render a question (no tools)",
        "alpaca",
    ),
    (
        Kind(PHI + "{% if messages[1] %}{{ none + 'x' }}{% endif %}", "</s>", "</s>"),
        "base",
        "cannot render two turns (unsupported operand",
        "alpaca",
    ),
    (Kind("system: obey" + PHI, "</s>", "</s>"), "base", "adds a system text", "alpaca"),
    (Kind(None, "</s>", "</s>"), "base", "has no chat template", "alpaca"),
]


@pytest.mark.parametrize(("kind", "template", "sentence", "hint"), UNTRAINABLE)
def test_a_template_that_cannot_be_trained(template_of, kind, template, sentence, hint):
    """A template without one end-of-turn token is refused, with one that the base can take."""
    with pytest.raises(ToolError) as caught:
        template_of(kind, template)

    assert sentence in str(caught.value)
    assert caught.value.hint == f'set data.template = "{hint}"'


LAST_SENTENCE = "{{ m.content.split('!')[-1] }}"
UNRENDERABLE = [
    ("gemma", OPENED, "cannot render it (roles), expected"),
    ("mistral", OPENED_WITH_SYSTEM, "cannot render it (roles), expected"),
    ("gemma", TWO_QUESTIONS, "cannot render it (roles), expected"),
    ("phi", chat("u: Hi", "a: One <|end|> two."), "changes a reply's words"),
    (
        Kind(PHI.replace("{{ m.content }}", LAST_SENTENCE), "<|end|>", "<|end|>"),
        chat("u: Hi", "a: Well! Hello", "u: 2+2?", "a: Four."),
        "changes a reply's words",
    ),
    # The token before the reply takes its blank with it.
    ("phi, line ends taken", chat("u: Hi", "a:  Hello."), "begins before it"),
    # The end-of-turn token is none right after a letter: the last label would be its ">".
    (
        Kind(CHATML, "<|im_end|>", "<|im_start|> <|im_end|>", options=("single_word",)),
        chat("u: Hi", "a: Hello"),
        "does not end with '<|im_end|>'",
    ),
    ("chatml", chat("u: Hi"), "does not end with '<|im_end|>'"),
    # A thinking model's prompt, which its answered turn does not hold.
    (
        Kind(write_jinja(PHI_TURN, "<|assistant|>\n<think>"), "<|end|>", PHI_TOKENS),
        TWO_TURNS,
        "renders a prompt otherwise once it is answered",
    ),
]


@pytest.mark.parametrize(("kind", "messages", "sentence"), UNRENDERABLE)
def test_a_row_that_the_template_cannot_hold(template_of, kind, messages, sentence):
    """Turns that a template refuses, words that it changes, an end that is no token: a sentence."""
    with pytest.raises(DataError) as caught:
        template_of(kind).encode(messages)

    (problem,) = caught.value.problems
    assert sentence in problem


WIDE_PHI = PHI.replace("<|", "<｜").replace("|>", "｜>")


@pytest.mark.parametrize(
    ("kind", "token"),
    [
        ("phi", "<|user|>"),
        ("gemma", "<start_of_turn>"),
        ("gemma", "<end_of_turn>"),
        ("gemma", "<eos>"),
        ("mistral", "[INST]"),
        ("llama 3", "<|start_header_id|>"),
        (Kind(write_jinja("{{ m.content }}EOT"), "</s>", "</s>", plain=("EOT",)), "EOT"),
        (Kind(WIDE_PHI, "<｜end｜>", "<｜end｜>", plain=("<｜user｜>",)), "<｜user｜>"),
        (Kind(CHATML, "<|im_end|>", "<|im_end|>", plain=("<|vision_pad|>",)), "<|vision_pad|>"),
    ],
)
def test_what_marks_turns_is_special(template_of, kind, token):
    """A token that is special, or that marks turns, is found in a text whatever it looks like."""
    assert template_of(kind).special_in(f"before {token}, after") == token


def test_what_marks_nothing_is_text(template_of):
    """Line ends and tags that a vocabulary merely has as tokens may stand in a row."""
    template = template_of("gemma")

    assert template.special_in("Two\n\nlines, <b>bold</b>, <|im_end|> of another family.") is None


def test_the_longest_special_token_is_told(template_of):
    """Of two tokens that begin alike, the one that stands there is named."""
    kind = Kind(CHATML, "<|im_end|>", "<|im_end|> <|im <|im_end|>>")

    assert template_of(kind).special_in("x <|im_end|>> y") == "<|im_end|>>"


def test_another_eos_changes_no_label(tmp_path):
    """ChatML's labels are the same where the tokenizer's EOS ends conversations alone."""
    found = fetch.find_weights(EMBEDDED)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(found / name, tmp_path / name)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token": "<|endoftext|>"}))

    changed = Template(tmp_path, "base", EMBEDDED.family)
    whole = Template(found, "base", EMBEDDED.family)

    assert changed.eos != whole.eos
    assert changed.encode(WITH_SYSTEM) == whole.encode(WITH_SYSTEM)
