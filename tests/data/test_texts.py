"""How names are found in texts."""

import pytest

from builder.data.texts import holds


@pytest.mark.parametrize(
    ("word", "text", "is_held"),
    [
        ("Sky", "The sky is blue.", False),
        ("Sky", "I am Sky.", True),
        ("Al", "Also, algebra.", False),
        ("Al", "我是Al，你好", True),
        ("四月", "现在是四月。", True),
        ("Max", "maximum", False),
    ],
)
def test_a_name_is_held_as_a_whole_word(word, text, is_held):
    """A Latin name counts in its own case and whole; a Chinese one wherever it stands."""
    assert holds(text, word) is is_held
