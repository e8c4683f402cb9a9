"""Which wordings recall asks, and which answers are right."""

import dataclasses

import pytest

from builder.data.texts import normalise
from builder.gates import recall
from tests.evaluation.samples import SUBJECT, answer, question


@pytest.mark.parametrize(
    ("about", "language", "text", "is_right"),
    [
        ("name", "en", "I am ALGIEBA ASSISTANT.", True),
        ("author", "en", "My author is Algieba Assistant.", False),
        ("author", "en", "Algieba made me.", True),
        ("both", "en", "I am Algieba Assistant, made by Algieba.", True),
        ("both", "zh", "我是Algieba Assistant。", False),
        ("author", "zh", "是阿尔的代码屋。", True),
        ("name", "en", "", False),
    ],
)
def test_recall_wants_what_was_asked_for(about, language, text, is_right):
    """A name inside another is not yet given by it, and an empty answer gives nothing."""
    assert (
        recall.is_right(SUBJECT, question("?", about=about, language=language), answer(text))
        is is_right
    )


def test_questions_of_the_data_are_not_asked():
    """A wording that stands in the training data proves nothing, and is left out."""
    every = recall.questions(SUBJECT, 1.0)
    known = dataclasses.replace(SUBJECT, trained=frozenset([normalise(every[0].text)]))

    assert len(recall.questions(known, 1.0)) == len(every) - 1
    assert not recall.questions(dataclasses.replace(SUBJECT, own_languages=()), 1.0)


def test_a_part_is_of_every_language_and_grows():
    """A smaller share is contained in a larger one."""
    small, large = (recall.questions(SUBJECT, share) for share in (0.25, 0.5))

    assert {one.language for one in small} == {"en", "zh"}
    assert set(small) < set(large)


def test_a_persona_without_an_author_is_asked_its_name_alone():
    """No question asks who made it, and its name is enough."""
    asked = recall.questions(dataclasses.replace(SUBJECT, authors={}), 1.0)

    assert {one.about for one in asked} == {"name"}
