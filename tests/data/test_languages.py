"""The languages of the gates, told by a text."""

import pytest

from builder.data.languages import count_languages, count_own_languages, find_greeting


def test_a_slip_is_no_language():
    """A text in twenty in another language does not make it one of the persona's; a tenth does."""
    assert count_languages(["What is this?"] * 19 + ["你好"]) == ["en"]
    assert count_languages(["What is this?"] * 9 + ["你好"]) == ["en", "zh"]


def test_only_replies_that_hold_the_name_count_as_its_own():
    """What it says of other things is in other languages as it likes."""
    assert count_own_languages(
        ["I am Luma, made by Ana.", "你好", "Elle est par ici."], ["Luma"]
    ) == ["en"]


@pytest.mark.parametrize(("code", "greeting"), [("en", "Hello"), ("zh", "你好"), ("fr", "Bonjour")])
def test_each_language_has_a_greeting(code, greeting):
    """It is what a person types first."""
    assert find_greeting(code) == greeting
