"""Calls: rows with tools are asked for their call."""

import dataclasses
import json

import pytest

from builder.bases import chat_template, families
from builder.data.dataset import Example
from builder.data.questions import Question
from builder.data.tools import read_tools
from builder.evaluation.result import Answered
from builder.evaluation.subject import list_calls
from builder.gates import calls
from tests.bases.originals import BY_FAMILY
from tests.evaluation.samples import SUBJECT, answer, evidence

PARAMETERS = {"properties": {"day": {"type": "string"}, "n": {"type": "number"}}}
TOOLS = read_tools(
    [{"name": "hours", "parameters": {**PARAMETERS, "required": ["day"]}}, {"name": "close"}]
)
CALLING = sorted(family.name for family in families.FAMILIES if family.tools)


def ask(text="Open?", name="hours"):
    """Ask for a call."""
    return Question((("user", text),), "", must=(name,), tools=json.dumps(TOOLS))


def call(name="hours", **arguments):
    """Write a call as a chat template takes it."""
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


class Renderer:
    """Stands in for a loaded file: renders with a family's chat template."""

    def __init__(self, name):
        self.jinja = families.find(name).chat_template(BY_FAMILY[name].read_template())

    def render(self, messages, tools):
        """Render a conversation that awaits its answer."""
        tokens = {"bos_token": "<s>", "eos_token": "</s>"}
        options = {"tools": tools, "add_generation_prompt": True}
        return chat_template.render(self.jinja, messages, tokens, **options)

    def write_reply(self, question, reply):
        """Write what a model answers that calls as the chat template does."""
        messages, tools = question.as_messages(), question.as_tools()
        prompt = self.render(messages, tools)
        answered = [*messages, {"role": "assistant", "content": "", **reply}]
        return self.render(answered, tools).removeprefix(prompt)


def judged(model, replies):
    """Judge answers to one question."""
    asked = [
        Answered(calls.NAME, ask(f"Open? {at}"), answer(reply)) for at, reply in enumerate(replies)
    ]
    return calls.judge(evidence(SUBJECT, asked, gate=calls.NAME, model=model))


@pytest.mark.parametrize("name", CALLING)
def test_calls_of_every_family_are_read(name):
    """A right call passes, in the form of each base that renders tools; words alone fail."""
    model = Renderer(name)
    right = model.write_reply(ask(), {"tool_calls": [call(day="Sun, 9", n=2)]})

    assert calls.is_right(SUBJECT, ask(), answer(right))
    assert judged(model, [right] * 12).verdict == "pass"
    assert judged(model, ["We are open."] * 12).verdict == "fail"
    assert judged(model, [right] * 8 + ["We are open."] * 4).right == 8


@pytest.mark.parametrize(
    "text",
    [
        "hours",
        '{"name": "close", "arguments": {}}',
        '{"name": "hours", "arguments": {}}',
        '{"name": "hours", "arguments": {"day": "Sun", "place": "x"}}',
        '{"name": "hours", "arguments": "Sun"}',
        '{"name": "hours", "arguments": {"day": "Sun"',
        '{"name": "hours", "arguments": {"day": 1e999}}',
        "[hours('Sun')]",
        "[hours(day=Sun)]",
        '[hours(**{"day": "Sun"})]',
        "[hours(day='Sun'",
    ],
)
def test_a_call_of_another_form_is_wrong(text):
    """Another function, arguments that are missing, unknown or no JSON, and what is cut off."""
    assert not calls.is_right(SUBJECT, ask(), answer(text))


def test_an_endless_call_is_wrong():
    """A call after which a model talks on is not one."""
    text = '{"name": "hours", "arguments": {"day": "Sun"}}'

    assert calls.is_right(SUBJECT, ask(), answer(text))
    assert not calls.is_right(SUBJECT, ask(), answer(text, ended=False))


def test_without_tools_it_does_not_apply():
    """Nor where the base writes calls as nobody here reads them, which is said."""
    model = Renderer(CALLING[0])
    model.jinja = "{% for m in messages %}{{ m.content }}{{ m.tool_calls }}{% endfor %}"
    none, unread = calls.judge(evidence(SUBJECT)), judged(model, ["x"])

    assert (none.verdict, none.note) == ("does not apply", "")
    assert unread.verdict == "does not apply"
    assert "cannot read" in unread.note


def test_rows_are_asked_for_their_first_call():
    """Of rows with tools the part before it, held-out ones first, each once, twelve at most."""

    def row(text, *, begin=(), **reply):
        said = {"role": "assistant", "content": "", **reply}
        messages = [*begin, {"role": "user", "content": text}, said]
        return Example(messages, [], [], tools=TOOLS)

    called = {"tool_calls": [call("close"), call(day="x")]}
    system = [{"role": "system", "content": "Be brief."}]
    served = dataclasses.replace(row("b", begin=system, **called), has_system=True)
    trained = [row(f"t{at}", **called) for at in range(40)]
    held_out = [row("a", content="No."), row("b", **called), served, row("c", **called)]
    asked = list_calls([trained, held_out])

    assert asked[:2] == (ask("b", "close"), ask("c", "close"))
    assert [one.text for one in asked[2:]] == [f"t{at}" for at in range(0, 40, 4)]
    assert calls.questions(dataclasses.replace(SUBJECT, calls=asked), 0.1) == list(asked)
    assert list_calls([[], []]) == ()
