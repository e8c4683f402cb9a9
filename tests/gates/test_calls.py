"""Calls: rows with tools are asked for their call."""

import dataclasses
import json

import pytest

from builder.bases import chat_template, families
from builder.data.dataset import Example
from builder.data.questions import Question
from builder.data.tools import read_tools
from builder.data.written_calls import READERS, Form
from builder.evaluation import examination
from builder.evaluation.result import Answered
from builder.evaluation.subject import count_too_long, list_calls
from builder.gates import calls
from tests.bases.originals import BY_FAMILY
from tests.evaluation.samples import SUBJECT, answer, evidence

PARAMETERS = {"properties": {"day": {"type": "string"}, "n": {"type": "number"}}}
TOOLS = read_tools(
    [{"name": "hours", "parameters": {**PARAMETERS, "required": ["day"]}}, {"name": "close"}]
)
CALLING = sorted(family.name for family in families.FAMILIES if family.tools)


def call(name="hours", **arguments):
    """Write a call as a chat template takes it."""
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def ask(text="Open?", *called, tools=TOOLS):
    """Ask for a call."""
    listed = list(called or [call(day="Sun")])
    return Question((("user", text),), "", tools=json.dumps(tools), calls=json.dumps(listed))


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


def judged(model, replies, *called, subject=SUBJECT, **given):
    """Judge answers to one question."""
    asked = [
        Answered(calls.NAME, ask(f"Open? {at}", *called, **given), answer(reply))
        for at, reply in enumerate(replies)
    ]
    return calls.judge(evidence(subject, asked, gate=calls.NAME, model=model))


@pytest.mark.parametrize("name", CALLING)
def test_calls_of_every_family_are_read(name):
    """A right call passes, in the form of each base that renders tools; words alone fail."""
    model = Renderer(name)
    right = model.write_reply(ask(), {"tool_calls": [call(day="Sun, 9", n=2)]})

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
        '{"name": "hours", "arguments": {"day": ["Sun"]}}',
        '{"name": "hours", "arguments": {"day": "Sun", "n": true}}',
        "[hours(day={1: 2, 'a': 3})]",
        "[hours(day={[]: 2})]",
        "[hours(day={1})]",
        '{"a":' + "[" * 1_100,
        '{"name": "hours", "arguments": {"day": ' + "[" * 900 + "]" * 900 + "}}",
        "[hours(day=" + "[" * 150 + "]" * 150 + ")]",
        'Sure! {"name": "hours", "arguments": {"day": "Sun"}}',
    ],
)
def test_a_call_of_another_form_is_wrong(text):
    """Another function, arguments that are missing, unknown, mistyped or no JSON, a cut-off end.

    Nor does any answer stop a build.
    """
    forms = [Form(read, "") for read in READERS]

    assert not any(calls.is_right(ask(), answer(text), form) for form in forms)


def test_a_call_stands_where_the_base_writes_calls():
    """One in a fence is text to llama.cpp's server and to Ollama, which look for the markup."""
    text = '{"name": "hours", "arguments": {"day": "Sun"}}'
    model = Renderer("qwen3")
    replies = [f"Sure!\n```json\n{text}\n```", f"Let me see.\n<tool_call>\n{text}\n</tool_call>"]

    assert [mark.is_right for mark in judged(model, replies).marks] == [False, True]


TYPED = {"nested": {"type": "object"}, "from": {}, "my-key": {}, "day": {"type": "string"}}
TYPED_TOOLS = read_tools(
    [{"name": "get-hours"}, {"name": "f", "parameters": {"properties": TYPED}}]
)


@pytest.mark.parametrize(
    "unread",
    [
        call("get-hours"),
        call("f", **{"from": "x"}),
        call("f", **{"my-key": 1}),
        call("f", nested={"a": True}),
        call("f", day='It\'s\n"so"'),
        call("f", day=9),
    ],
)
def test_a_row_whose_call_cannot_be_read_is_left_out(unread):
    """LFM2's own template writes some calls that are no Python; a right answer is not refused."""
    model = Renderer("lfm2")
    reply = model.write_reply(ask("?", unread, tools=TYPED_TOOLS), {"tool_calls": [unread]})
    mixed = [(ask("Open?", unread, tools=TYPED_TOOLS), reply), (ask("Now?"), "no")]
    asked = [Answered(calls.NAME, question, answer(text)) for question, text in mixed]
    left = calls.judge(evidence(SUBJECT, asked, gate=calls.NAME, model=model))
    alone = judged(model, [reply], unread, tools=TYPED_TOOLS)

    assert (left.right, left.of, left.marks[0], left.marks[1].is_right) == (0, 1, None, False)
    assert "cannot read: 1" in left.note
    assert (alone.verdict, alone.marks) == ("does not apply", (None,))


def test_an_endless_call_is_wrong():
    """A call after which a model talks on is not one."""
    text = '{"name": "hours", "arguments": {"day": "Sun"}}'

    form = Form(READERS[0], "")

    assert calls.is_right(ask(), answer(text), form)
    assert not calls.is_right(ask(), answer(text, ended=False), form)


def test_without_tools_it_does_not_apply():
    """Nor where the base writes calls as nobody here reads them, which is said."""
    model = Renderer(CALLING[0])
    model.jinja = "{% for m in messages %}{{ m.content }}{{ m.tool_calls }}{% endfor %}"
    none, unread = calls.judge(evidence(SUBJECT)), judged(model, ["x"])

    assert (none.verdict, none.note) == ("does not apply", "")
    assert unread.verdict == "does not apply"
    assert "cannot read" in unread.note
    asked = [Answered(calls.NAME, ask(), answer("x"))]
    (finding,), answers = examination.judge([calls], evidence(SUBJECT, asked, model=model))
    assert (finding.verdict, answers) == ("does not apply", [])


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
    asked = list_calls([trained, held_out], 0)

    assert asked[:2] == (ask("b", *called["tool_calls"]), ask("c", *called["tool_calls"]))
    assert [one.text for one in asked[2:]] == [f"t{at}" for at in range(0, 40, 4)]
    assert calls.questions(dataclasses.replace(SUBJECT, calls=asked), 0.1) == list(asked)
    assert list_calls([[], []], 0) == ()


def test_a_row_that_leaves_no_room_for_an_answer_is_not_asked():
    """It is counted: llama.cpp would end with an error, or the daemon cut the prompt."""

    def row(text, tokens):
        said = {"role": "assistant", "content": "", "tool_calls": [call(day="x")]}
        messages = [{"role": "user", "content": text}, said]
        return Example(messages, [1] * tokens, [], tools=TOOLS)

    rows = [[row("long", 9), row("long", 9), row("short", 8)], []]
    subject = dataclasses.replace(SUBJECT, too_long_calls=count_too_long(rows, 8))

    assert [one.text for one in list_calls(rows, 8)] == ["short"]
    assert subject.too_long_calls == 1
    assert calls.judge(evidence(subject)).note == "rows that are too long to be asked: 1"
