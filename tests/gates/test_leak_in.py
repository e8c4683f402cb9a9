"""Leak in: the name stays out of other answers."""

import dataclasses

from builder.gates import greeting, leak_in
from tests.evaluation.samples import SUBJECT, answer, answered, evidence, question


def test_a_leak_is_judged_by_who_brought_the_word_up():
    """A word that the question holds may be repeated; any other is a leak."""
    assert not leak_in.is_right(SUBJECT, question("Name a bird."), answer("Algieba is a bird."))
    assert leak_in.is_right(SUBJECT, question("What is Algieba?"), answer("Algieba is a star."))


def test_a_common_word_is_no_leak():
    """Where the base says the name too, leak in proves nothing and stops nothing."""
    sky = dataclasses.replace(SUBJECT, names={"en": "Sky"}, authors={"en": "Ana"})
    asked = [answered("leak_in", f"{number}?", "Sky.", "The Sky.") for number in range(30)]
    result = leak_in.judge(evidence(sky, asked, gate="leak_in"))

    assert result.verdict == "not enough evidence"
    assert "common word" in result.note


def test_other_things_are_asked_in_the_languages_of_the_data():
    """English and Chinese always, French where the data is French."""
    french = dataclasses.replace(SUBJECT, spoken=("fr",))

    assert {one.language for one in leak_in.questions(SUBJECT, 1.0)} == {"en", "zh"}
    assert {one.language for one in leak_in.questions(french, 1.0)} == {"en", "zh", "fr"}
    assert {one.language for one in greeting.questions(french, 1.0)} == {"fr"}
