"""Calls read back from what a base wrote."""

import json

import pytest

from builder.data.written_calls import find_form

TOOL = {
    "type": "function",
    "function": {
        "name": "order",
        "description": "Orders a room.",
        "parameters": {
            "type": "object",
            "properties": {"room": {"type": "string"}, "nights": {"type": "integer"}},
        },
    },
}
TAGGED = """<tool_call>
<function=order>
<parameter=room>
12
</parameter>
<parameter=nights>
2
</parameter>
</function>
</tool_call>"""


@pytest.mark.parametrize(
    "text",
    [
        TAGGED,
        '{"name": "order", "parameters": {"room": "12", "nights": 2}}',
        '<tool_call>\n{"name": "order", "arguments": {"room": "12", "nights": 2}}\n</tool_call>',
        '[TOOL_CALLS]order[ARGS]{"room": "12", "nights": 2}',
        '<|tool_call_start|>[order(room="12", nights=2)]<|tool_call_end|>',
    ],
)
def test_each_form_is_found_and_keeps_types(text):
    """Text that looks like a number stays text where the function declares text."""
    arguments = {"room": "12", "nights": 2}
    call = {"type": "function", "function": {"name": "order", "arguments": arguments}}

    form = find_form(text, [call], [TOOL])

    assert form is not None
    (read,) = form.read_calls(text, [TOOL])
    assert read["function"] == {"name": "order", "arguments": arguments}


def test_a_form_that_holds_another_call_is_not_taken():
    """What is read back must be the very call that was written."""
    text = json.dumps({"name": "order", "arguments": {"room": "13"}})
    call = {"type": "function", "function": {"name": "order", "arguments": {"room": "12"}}}

    assert find_form(text, [call], [TOOL]) is None
