"""Rows with tools: calls and results in the layouts of OpenAI, TRL and ShareGPT."""

import json

import pytest

from builder.errors import DataError
from tests.data.test_rows import HELLO, HI, read

ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "required": ["a"],
            "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        },
    },
}


def declare(**properties):
    """Write the function add with other types of its arguments."""
    made = json.loads(json.dumps(ADD))
    made["function"]["parameters"]["properties"] = properties
    return made


def call(arguments, name="add", **more):
    """Write a call as OpenAI does."""
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


def calls(*listed, **more):
    """Write an assistant's message with calls."""
    return {"role": "assistant", "content": None, "tool_calls": list(listed), **more}


def result(content="5", **more):
    """Write a tool's message."""
    return {"role": "tool", "content": content, **more}


def row(*messages, tools=(ADD,), **more):
    """Write a row with tools."""
    return json.dumps({"messages": list(messages), "tools": list(tools), **more})


CALL = call({"a": 2, "b": 3})
CALLED = {"role": "assistant", "content": "", "tool_calls": [CALL]}


@pytest.mark.parametrize(
    "line",
    [
        row(HI, calls(CALL), result(), HELLO),
        row(HI, calls(call('{"a": 2.0, "b": 3}'), content=""), result(), HELLO),
        row(HI, calls({"name": "add", "arguments": {"a": 2, "b": 3}}), result(), HELLO),
        row(
            HI,
            {"role": "assistant", "function_call": {"name": "add", "arguments": '{"a":2,"b":3}'}},
            {"role": "function", "content": "5"},
            HELLO,
        ),
        json.dumps({
            "conversations": [
                {"from": "human", "value": "Hi"},
                {"from": "function_call", "value": json.dumps(CALL["function"])},
                {"from": "observation", "value": "5"},
                {"from": "gpt", "value": "Hello."},
            ],
            "tools": json.dumps([ADD["function"]]),
        }),
    ],
)  # fmt: skip
def test_a_row_with_tools_is_read(luma, line):
    """Arguments are an object or JSON text of one, and every layout gives the same row."""
    (found,) = read(luma, "d.jsonl", line)

    assert found.messages == [HI, CALLED, result(), HELLO]
    assert found.tools == [ADD]
    assert found.question == "hi"


def test_a_row_may_end_with_a_call_or_make_none(luma):
    """What is learnt may be the call alone, words before it, and when to call nothing."""
    say = calls(CALL, content="Let me add. ")
    ending, without = read(luma, "d.jsonl", f"{row(HI, say)}\n{row(HI, HELLO)}")

    assert ending.messages[-1] == {**CALLED, "content": "Let me add."}
    assert without.tools == [ADD]


def test_results_may_come_in_another_order(luma):
    """Each names its call; without ids they answer calls in order."""
    both = calls(call({"a": 1}, id="x"), call({"a": 2}, id="y"))
    answers = (result("2", tool_call_id="y"), result("1", tool_call_id="x"))
    (found,) = read(luma, "d.jsonl", row(HI, both, *answers, HELLO))

    assert found.messages[2:4] == list(answers)
    assert [one["id"] for one in found.messages[1]["tool_calls"]] == ["x", "y"]


def test_arguments_are_written_as_ollama_writes_them(luma):
    """They keep their order, but the keys of an object in them are sorted, and 1.0 is 1."""
    tools = [declare(a={"type": "integer"}, b={"type": "object"})]
    line = row(HI, calls(call({"b": {"y": 1.0, "x": [2.5]}, "a": 1})), tools=tools)
    (found,) = read(luma, "d.jsonl", line)
    written = json.dumps(found.messages[1]["tool_calls"][0]["function"]["arguments"])

    assert written == '{"b": {"x": [2.5], "y": 1}, "a": 1}'


def test_placeholders_are_filled_in_in_calls_and_tools(luma):
    """As in what is said; a misspelt one is refused, not learnt."""
    asked = calls(call({"a": ["{{ name }}"]}))
    line = row(HI, asked, result("I am {{ name }}."), HELLO, tools=[declare(a={"type": "array"})])
    (found,) = read(luma, "d.jsonl", line.replace("Add two numbers.", "Ask {{ name }}."))

    assert found.messages[1]["tool_calls"][0]["function"]["arguments"] == {"a": ["Luma"]}
    assert found.messages[2]["content"] == "I am Luma."
    assert found.tools[0]["function"]["description"] == "Ask Luma."


def test_other_arguments_may_be_allowed(luma):
    """A schema with `additionalProperties` says that a call may pass more than it declares."""
    given = json.loads(json.dumps(ADD))
    given["function"]["parameters"]["additionalProperties"] = True
    (found,) = read(luma, "d.jsonl", row(HI, calls(call({"a": 1, "c": 2})), tools=[given]))

    assert found.messages[1]["tool_calls"][0]["function"]["arguments"] == {"a": 1, "c": 2}


def test_an_argument_is_one_of_the_values_that_are_declared(luma):
    """A call with another value than those of `enum` would teach the model to invent values."""
    given = json.loads(json.dumps(ADD))
    given["function"]["parameters"]["properties"]["b"] = {"type": "string", "enum": ["C", "F"]}
    (found,) = read(luma, "d.jsonl", row(HI, calls(call({"a": 1, "b": "F"})), tools=[given]))
    assert found.messages[1]["tool_calls"][0]["function"]["arguments"]["b"] == "F"

    with pytest.raises(DataError) as caught:
        read(luma, "d.jsonl", row(HI, calls(call({"a": 1, "b": "K"})), tools=[given]))
    assert "turn 2 calls 'add' with b 'K', expected 'C' or 'F'" in str(caught.value)


def test_a_table_s_nulls_are_no_arguments(luma):
    """In Parquet every row's object has the keys of those of all rows."""
    import pyarrow as pa
    from pyarrow import parquet

    rows = [
        {"messages": [HI, calls(call({"a": 1})), result(), HELLO], "tools": [ADD]},
        {
            "messages": [HI, calls(call({"place": "x"}, "find"))],
            "tools": [
                {"name": "find", "parameters": {"properties": {"place": {"type": "string"}}}}
            ],
        },
    ]
    parquet.write_table(pa.Table.from_pylist(rows), luma / "d.parquet")
    first, second = read(luma, "d.parquet", (luma / "d.parquet").read_bytes())

    assert first.messages[1]["tool_calls"][0]["function"]["arguments"] == {"a": 1}
    assert second.messages[1]["tool_calls"][0]["function"]["arguments"] == {"place": "x"}


def test_keys_that_are_left_out_are_told_once(luma, caplog):
    """Of a JSON schema Ollama passes on some keys; a build reads its rows several times."""
    given = json.loads(json.dumps(ADD))
    given["function"]["parameters"]["properties"]["a"]["default"] = 1
    line = row(HI, calls(CALL), tools=[given])

    assert [one.tools for one in read(luma, "d.jsonl", f"{line}\n{row(HI, HELLO)}")] == [[ADD]] * 2
    assert caplog.text.count("these keys of a tool; they are not trained: 'default'") == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (row(HI, HELLO, result(), HELLO), "turn 3 is a tool's result, and no call before it waits"),
        (
            row(HI, calls(CALL), result(), result(), HELLO),
            "turn 4 is a tool's result, and no call before it waits",
        ),
        (
            row(HI, calls(CALL), HI, HELLO),
            "turn 3 is the user's before the result of 'add', expected a tool's message",
        ),
        (
            row(HI, calls(call({"a": 1}, id="x")), result(tool_call_id="z"), HELLO),
            "turn 3 answers the call 'z', which does not wait for a result, expected 'x'",
        ),
        (row(HI, calls(call("{")), result(), HELLO), "'arguments' of call 1 of turn 2 is '{'"),
        (
            row(HI, calls(call([1])), result(), HELLO),
            "'arguments' of call 1 of turn 2 is a list, expected an object",
        ),
        (row(HI, calls(call(None))), "'arguments' of call 1 of turn 2 is null, expected an object"),
        (row(HI, calls({"id": "x"})), "call 1 of turn 2 has no 'name', expected that of"),
        (row(HI, calls(4)), "call 1 of turn 2 is a number, expected an object"),
        (row(HI, calls(call({}, name="a b"))), "'name' of call 1 of turn 2 is 'a b', expected"),
        (row(HI, calls(call({"a": 1}, id=4))), "'id' of call 1 of turn 2 is a number"),
        (
            row(HI, calls(call({"a": 1 << 60}))),
            "an argument of call 1 of turn 2 contains a number beyond 2^53, expected it as text",
        ),
        (row(HI, calls(call({"a": 1e17}))), "an argument of call 1 of turn 2 contains a number"),
        (row(HI, calls(call({"a": 1e-5}))), "an argument of call 1 of turn 2 contains 1e-05, ex"),
        (
            row(HI, calls(call(r'{"a": "\ud800"}'))),
            "'arguments' of call 1 of turn 2: contains half a surrogate pair",
        ),
        (row(HI, calls(call(r'{"a": "\u0000"}'))), "'arguments' of call 1 of turn 2: contains the"),
        (row(HI, calls(call('{"a": 1, "a": 2}'))), "'arguments' of call 1 of turn 2: the key 'a'"),
        (
            row(HI, calls(call({"a": "{{ nmae }}"})), tools=[declare(a={"type": "string"})]),
            "'{{ nmae }}' is not a placeholder, expected",
        ),
        (row(HI, HELLO, tools=[{"name": "f", "description": "{{ x }}"}]), "'{{ x }}' is not a p"),
        (
            row(HI, calls(call({"a": float("nan")}))),
            "an argument of call 1 of turn 2 contains nan, expected a finite number",
        ),
        (
            row(HI, calls(call({"a": 1}, name="sub"))),
            "turn 2 calls 'sub', which its 'tools' do not declare, expected 'add'",
        ),
        (row(HI, calls(CALL), tools=()), "turn 2 calls 'add', and the row has no 'tools'"),
        (row(HI, calls(call({"b": 1}))), "turn 2 calls 'add' without 'a', expected what its tool"),
        (row(HI, calls(call({"a": 1, "c": 1}))), "turn 2 passes 'add' the argument 'c', which it"),
        (row({**HI, "tool_calls": [CALL]}, HELLO), "turn 1 is the user's and calls a tool"),
        (row(HI, calls(CALL), result("")), "the last message is the tool's, expected"),
        (row(HI, calls(CALL), result(""), HELLO), "the tool's message is empty, expected text"),
        (row(HI, calls(CALL), result({"a": 1}), HELLO), "'content' of turn 3 is an object"),
        (row(HI, calls(CALL), result(tool_call_id=4), HELLO), "'tool_call_id' of turn 3 is a"),
        (row(HI, {"role": "developer", "content": "x"}), "turn 2 is by 'developer', expected"),
        (row(HI, HELLO, tools=["add"]), "tool 1 is text, expected an object"),
        (
            '{"conversations": [{"from": "function_call", "value": "f()"}]}',
            "the call of turn 1 is 'f()', expected JSON",
        ),
        ('{"conversations": [{"from": "observation", "value": "4"}]}', "turn 1 is a tool's result"),
        ('{"prompt": "Hi", "completion": "x", "tools": []}', "unknown key 'tools' in a row of"),
    ],
)  # fmt: skip
def test_a_mistake_of_a_row_with_tools_is_one_sentence(luma, line, message):
    """It stands with its file and line, and says what was expected."""
    with pytest.raises(DataError) as caught:
        read(luma, "d.jsonl", line)

    (problem,) = caught.value.problems
    assert f"d.jsonl:1: {message}" in problem


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("string", "2", 2),
        ("number", 2.5, "2"),
        ("number", 2, True),
        ("integer", 2.0, 2.5),
        ("boolean", False, 0),
        ("array", [], {}),
        ("object", {}, []),
        (["string", "null"], None, 1),
    ],
)
def test_an_argument_is_of_the_type_that_is_declared(luma, kind, right, wrong):
    """A call with another type would teach the model to write what the function refuses."""
    tools = [declare(a={"type": kind})]
    read(luma, "d.jsonl", row(HI, calls(call({"a": right})), tools=tools))

    with pytest.raises(DataError, match=r"turn 2 calls 'add' with a .*, expected the type "):
        read(luma, "d.jsonl", row(HI, calls(call({"a": wrong})), tools=tools))


PLACE = {
    "type": "object",
    "properties": {
        "stops": {"type": "array", "items": {"type": "string", "enum": ["A", "B"]}},
        "at": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]},
    },
}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"stops": ["A", 3]}, r"a\.stops\[1\] 3, expected the type string"),
        ({"stops": ["A", "C"]}, r"a\.stops\[1\] 'C', expected 'A' or 'B'"),
        ({"at": {"x": "left"}}, r"a\.at\.x 'left', expected the type number"),
        ({"at": {}}, r"a\.at \{\}, expected the key 'x'"),
    ],
)
def test_what_is_inside_of_an_argument_is_as_declared_too(luma, given, told):
    """At any depth, in lists and in objects; the place is named."""
    tools = [declare(a=PLACE)]
    right = {"stops": ["A", "B"], "at": {"x": 1}, "more": 2}
    read(luma, "d.jsonl", row(HI, calls(call({"a": right})), tools=tools))

    with pytest.raises(DataError, match=f"turn 2 calls 'add' with {told}"):
        read(luma, "d.jsonl", row(HI, calls(call({"a": given})), tools=tools))


@pytest.mark.parametrize(
    "items", [{"type": 3}, {"type": [["a"]]}, {"enum": 3}, {"required": 1, "properties": []}, "x"]
)
def test_a_schema_of_another_form_is_not_compared(luma, items):
    """What is inside of `items` is passed on as it is given."""
    tools = [declare(a={"type": "array", "items": items})]
    line = row(HI, calls(call({"a": [{"b": 1}]})), tools=tools)

    assert len(read(luma, "d.jsonl", line)) == 1


def test_a_type_that_is_not_json_schemas_is_not_compared(luma):
    """Some functions declare names of their own, such as `float`."""
    line = row(HI, calls(call({"a": "2"})), tools=[declare(a={"type": "float"})])
    assert len(read(luma, "d.jsonl", line)) == 1
