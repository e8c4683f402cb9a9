"""The chat template that each family is trained with, compared with the original."""

import re

import pytest

from builder.bases import chat_template, families
from builder.bases.family import TEMPLATES
from tests.bases.originals import BY_FAMILY, ORIGINALS

PAIRS = [
    pytest.param(one.family, *template, id=f"{one.family}-{template[1]}")
    for one in ORIGINALS
    for template in one.templates
]


def chat(*turns):
    """Write a conversation of (u)ser, (a)ssistant and (s)ystem turns."""
    roles = {"u": "user", "a": "assistant", "s": "system"}
    return [{"role": roles[turn[0]], "content": turn[3:]} for turn in turns]


QUESTION = chat("u: Hi")
ONE_TURN = chat("u: Hi", "a: Hello.\n\nHow are you?")
TWO_TURNS = chat("u: Hi", "a: Hello.", "u: 2+2?", "a: Four.")
SECOND_QUESTION = TWO_TURNS[:3]
SYSTEM = chat("s: Be brief.")
CONVERSATIONS = {
    "a question": QUESTION,
    "an answer": ONE_TURN,
    "two answers": TWO_TURNS,
    "a second question": SECOND_QUESTION,
}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "add",
            "description": "Add ü and ö.",
            "parameters": {"type": "object", "properties": {"a": {"type": "number"}}},
        },
    }
]
# Mistral's ids have nine letters.
CALLS = [
    {"type": "function", "id": name, "function": {"name": "add", "arguments": {"a": 1}}}
    for name in ("southeast", "southwest")
]
CALLED = [
    *QUESTION,
    {"role": "assistant", "content": "", "tool_calls": CALLS},
    {"role": "tool", "content": "3", "tool_call_id": "southeast"},
    {"role": "tool", "content": "ü\n4", "tool_call_id": "southwest"},
    *chat("a: Three."),
]
WITH_TOOLS = [
    pytest.param(one.family, *template, id=f"{one.family}-{template[1]}")
    for one in ORIGINALS
    for template in one.templates
    if families.find(one.family).tools and template[1] not in one.without_tools
]
THOUGHT = re.compile(r"<think>\n\n</think>\n+")


def give_tokens(name):
    """Give the tokens that a template may name; a family that is derived has none."""
    original = BY_FAMILY.get(name)
    named = {"bos_token": original.bos, "eos_token": original.eos} if original else {}
    return {key: token for key, token in named.items() if token}


def render_trained(name, original, messages, **options):
    """Render a conversation with the template that the family is trained with."""
    jinja = families.find(name).chat_template(original)
    return render(name, jinja, messages, **options)


def render(name, jinja, messages, **options):
    """Render a conversation, as a prompt where the user speaks last."""
    asks = messages[-1]["role"] != "assistant"
    tokens = give_tokens(name)
    options = {"add_generation_prompt": asks, "enable_thinking": False, **options}
    return chat_template.render(jinja, messages, tokens, **options)


def strip_additions(name, text):
    """Take out of an original's rendering the system text and the dates that nobody asked for."""
    dates = r"Cutting Knowledge Date: December 2023\nToday Date: [^\n]*\n\n"
    empty = "<|start_header_id|>system<|end_header_id|>\n\n<|eot_id|>"
    additions = {
        "llama3": [dates, re.escape(empty)],
        "qwen2.5": [r"<\|im_start\|>system\nYou are Qwen.*?<\|im_end\|>\n"],
        "granite4": [r"<\|start_of_role\|>system<\|end_of_role\|>You are a .*?<\|end_of_text\|>\n"],
        "ministral3": [r"\[SYSTEM_PROMPT\]# HOW YOU.*?\[/SYSTEM_PROMPT\]"],
        "smollm2": [r"<\|im_start\|>system\nYou are a helpful AI.*?<\|im_end\|>\n"],
        "smollm3": [r"^<\|im_start\|>system\n## Metadata.*?<\|im_end\|>\n"],
    }
    for pattern in additions.get(name, []):
        text = re.sub(pattern, "", text, flags=re.DOTALL)
    return text


@pytest.mark.parametrize("shape", CONVERSATIONS)
@pytest.mark.parametrize(("name", "read", "original"), PAIRS)
def test_a_conversation_is_rendered_as_by_the_original(name, read, original, shape):
    """Without a system text: the same text, but for the system text that the original adds.

    A thought that the original leaves out of earlier answers stands before each of them.
    """
    jinja, messages = read(original), CONVERSATIONS[shape]
    expected = strip_additions(name, render(name, jinja, messages))
    trained = render_trained(name, jinja, messages)

    if messages in (TWO_TURNS, SECOND_QUESTION) and THOUGHT.search(trained):
        assert len(THOUGHT.findall(trained)) == 2
        trained, expected = (THOUGHT.sub("", text) for text in (trained, expected))
    assert trained == expected


@pytest.mark.parametrize("shape", CONVERSATIONS)
@pytest.mark.parametrize(("name", "read", "original"), PAIRS)
def test_a_system_text_is_rendered_as_by_the_original(name, read, original, shape):
    """With a system text: the same text, where the original renders it without additions.

    SmolLM3 writes it beside its metadata, and Mistral Nemo into the last question, dropping it once
    that is answered: there the text before it and after it is compared.
    """
    jinja, messages = read(original), [*SYSTEM, *CONVERSATIONS[shape]]
    expected = strip_additions(name, render(name, jinja, messages))
    trained = render_trained(name, jinja, messages)

    assert trained.count("Be brief.") == 1
    if name == "smollm3":
        assert trained.startswith("<|im_start|>system\nBe brief.<|im_end|>\n")
        trained = trained.partition("<|im_end|>\n")[2]
    if name == "mistral-nemo" and messages[1:] != QUESTION:
        assert trained.startswith("<s>[INST]Be brief.\n\nHi[/INST]")
        trained, expected = (text.replace("Be brief.\n\n", "") for text in (trained, expected))
    if THOUGHT.search(trained):
        trained, expected = (THOUGHT.sub("", text) for text in (trained, expected))
    assert trained == expected


@pytest.mark.parametrize(("name", "read", "original"), WITH_TOOLS)
@pytest.mark.parametrize(
    "messages",
    [
        pytest.param(QUESTION, id="declared"),
        pytest.param([*SYSTEM, *QUESTION], id="declared beside a system text"),
        pytest.param(CALLED[:2], id="called"),
        pytest.param(CALLED[:4], id="a result"),
        pytest.param([*SYSTEM, *CALLED], id="answered"),
        pytest.param([*CALLED, *chat("u: Thanks")], id="a second question"),
    ],
)
def test_tools_are_rendered_as_by_the_original(name, read, original, messages):
    """A family that keeps its tools renders them, calls and answers as the original does.

    Mistral Nemo writes them before the last question; they, as its system text, stay at the first.
    """
    jinja, messages = read(original), BY_FAMILY[name].fit_calls(messages)
    expected = render(name, jinja, messages, tools=TOOLS)
    trained = render_trained(name, jinja, messages, tools=TOOLS)

    assert "add" in trained
    if families.find(name).replacement:
        expected = strip_additions(name, expected)
    if name == "qwen2.5" and messages[0]["role"] != "system":
        expected = expected.replace("You are Qwen, created by Alibaba Cloud. ", "")
        expected = expected.replace("You are a helpful assistant.", "", 1)
    if name == "mistral-nemo":
        declared = re.compile(r"\[AVAILABLE_TOOLS\].*\[/AVAILABLE_TOOLS\]")
        assert trained.startswith(f"<s>{declared.search(expected)[0]}[INST]")
        trained, expected = (declared.sub("", text) for text in (trained, expected))
        if messages[0]["role"] == "system" and messages[1:] != QUESTION:
            assert trained.startswith("<s>[INST]Be brief.\n\nHi[/INST]")
            trained = trained.replace("Be brief.\n\n", "")
    if name in ("qwen3", "qwen3.5"):
        trained, expected = (THOUGHT.sub("", text) for text in (trained, expected))
    assert trained == expected


UNTRAINED = [family.name for family in families.FAMILIES if family.why_no_tools]


@pytest.mark.parametrize("name", UNTRAINED)
def test_why_tools_are_not_rendered_is_true(name):
    """A call of Gemma 4 ends with another token than its turn, which goes on after the result.

    A row's labels are one reply up to its end-of-turn token.
    """
    jinja, end = BY_FAMILY[name].read_template(), families.find(name).end_of_turn
    called = render(name, jinja, CALLED[:2], tools=TOOLS)
    answered = render(name, jinja, CALLED, tools=TOOLS)

    assert called.endswith("<tool_call|><|tool_response>")
    turn = answered.partition("<|turn>model\n")[2]
    assert turn.count(end) == 1
    assert turn.rstrip().endswith(f"<tool_response|>Three.{end}")


REPLACED = sorted(family.name for family in families.FAMILIES if family.replacement)


@pytest.mark.parametrize("name", REPLACED)
def test_a_replacement_adds_nothing_and_takes_nothing(name):
    """No system text, no date, and each message's blanks and line ends are as they were written.

    Of Gemma 4 alone they are trimmed: Ollama renders it by itself, and trims.
    """
    messages = chat("s:  Be \n brief. ", "u: \n Hi \n", "a: Hello \n", "u: 2 + 2? ")
    rendered = render_trained(name, None, messages)
    jinja = families.find(name).chat_template(None)

    texts = [message["content"] for message in messages]
    texts = [text.strip() for text in texts] if families.find(name).ollama_renderer else texts
    assert all(text in rendered for text in texts)
    assert "strftime" not in jinja
    assert not re.search(r"system|\d{4}|You are", render_trained(name, None, QUESTION))


@pytest.mark.parametrize("name", REPLACED)
def test_a_replacement_begins_with_a_comment_that_keeps_ollama_from_guessing(name):
    """Ollama takes a template within 100 edits of one it knows for that one, and drops ours.

    Source: ollama fb3076099, template/template.go, Named.
    """
    jinja = families.find(name).chat_template(None)
    comment = jinja.partition("-#}")[0]

    assert comment.startswith("{#-")
    assert len(comment) >= 130
    assert not re.search("<think>|</think>", jinja)


@pytest.mark.parametrize("name", ["phi4-mini", "olmo2", "derived (gemma2)"])
def test_a_template_of_the_base_is_kept_from_being_guessed_too(name):
    """One that knows no tools gets a comment of 100 characters or more, which renders nothing."""
    own = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    trained = families.find(name).chat_template(own)

    assert trained.removesuffix(own).startswith("{#")
    assert len(trained) >= len(own) + 100
    assert render(name, trained, TWO_TURNS) == render(name, own, TWO_TURNS)
    assert families.find(name).chat_template(f"{own}{{# tools #}}") == f"{own}{{# tools #}}"
    assert families.SMOLLM2.chat_template(own) == own


def test_each_replacement_belongs_to_a_family():
    """No file is without a record and no record without its file; lines are as long as code's."""
    paths = list(TEMPLATES.glob("*.jinja"))
    named = {family.replacement for family in families.FAMILIES if family.replacement}

    assert {path.stem for path in paths} == named
    assert all(len(line) <= 100 for path in paths for line in path.read_text().splitlines())


@pytest.mark.parametrize(("name", "read", "original"), PAIRS)
def test_a_template_is_rendered_as_transformers_renders_it(name, read, original):
    """The quick renderer of the base stage and transformers' own give the same text."""
    from transformers.utils.chat_template_utils import render_jinja_template

    jinja, tokens = read(original), give_tokens(name)
    for messages in CONVERSATIONS.values():
        rendered, _ = render_jinja_template([messages], chat_template=jinja, tools=TOOLS, **tokens)
        assert chat_template.render(jinja, messages, tokens, tools=TOOLS) == rendered[0]


def test_blanks_around_tags_are_dropped_as_transformers_drops_them():
    """Indented tags leave no blank, and a tag takes the line end after it."""
    from transformers.utils.chat_template_utils import render_jinja_template

    jinja = "a\n  {% if true %}\nb\n  {% endif %}\n{% generation %}c{% endgeneration %}"
    rendered, _ = render_jinja_template([QUESTION], chat_template=jinja)

    assert chat_template.render(jinja, QUESTION, {}) == rendered[0]
