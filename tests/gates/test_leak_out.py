"""Leak out: it does not call itself by its base's names."""

import dataclasses

from builder.gates import leak_out
from tests.evaluation.samples import SUBJECT, answer, evidence, question


def test_a_leak_is_judged_by_who_brought_the_word_up():
    """A word that the question holds may be repeated; any other is a leak."""
    assert not leak_out.is_right(SUBJECT, question("Who are you?"), answer("I am SmolLM."))
    assert leak_out.is_right(SUBJECT, question("Are you SmolLM?"), answer("No, I am not SmolLM."))
    assert not leak_out.questions(dataclasses.replace(SUBJECT, base_words=()), 1.0)


def test_a_base_without_known_words_cannot_leak_them():
    """It does not apply, and says why, where no words of the base are known."""
    nameless = dataclasses.replace(SUBJECT, base_words=())
    result = leak_out.judge(evidence(nameless))

    assert leak_out.questions(nameless, 1.0) == []
    assert result.verdict == "does not apply"
    assert "no names are known" in result.note
