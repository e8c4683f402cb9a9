"""Files that this project writes, read again."""

import pytest

from builder import files


@pytest.mark.parametrize("text", ["", "{", "[" * 200_000, "9" * 5000, f'{{"a": 1{"0" * 400}}}'])
def test_damaged_json_is_none(tmp_path, text):
    """That includes a number with which nobody could calculate."""
    path = tmp_path / "a.json"
    path.write_text(text)

    assert files.read_json(path) is None
