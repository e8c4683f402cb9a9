"""Text from outside moves no cursor, in whatever form it is shown."""

import json

import pytest

from builder import escapes


@pytest.mark.parametrize("encoding", [None, "utf-8", "ascii", "latin-1", "UTF8"])
def test_json_is_the_same_value_in_any_encoding(encoding):
    """What a terminal would obey is an escape of JSON; other characters stay where they can."""
    value = {"é": "你好 😀", "moves": "\x1b[2J \x9b2J \x85 \u2028 \u202e \ud800"}

    line = escapes.write_json(value, encoding)

    assert json.loads(line.encode(encoding or "utf-8").decode(encoding or "utf-8")) == value
    assert escapes.escape(line) == line
    assert ("你好" in line) == (encoding in {None, "utf-8", "UTF8"})
