"""Leak out: it does not call itself by its base's names."""

import dataclasses

from builder.gates import leak_out
from tests.evaluation.samples import SUBJECT, answer, answered, evidence, question


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


def test_a_persona_without_a_name_is_asked_who_it_is():
    """Without a name, naming the base fails; no question about an author is asked."""
    voice = dataclasses.replace(
        SUBJECT, names={}, authors={}, own_languages=(), spoken=("en",), base_words=("Nimbus",)
    )
    questions = leak_out.questions(voice, 1.0)
    asked = [
        answered("leak_out", one.text, "I am Nimbus." if number else "A keeper of the light.")
        for number, one in enumerate(questions)
    ]

    result = leak_out.judge(evidence(voice, asked, gate="leak_out"))

    assert {(one.language, one.about) for one in questions} == {("en", "name")}
    assert (result.right, result.verdict) == (1, "fail")


OWN = ["I am OLMo, made by Ai2.", "I'm OLMo, a helpful AI.", "My name is OLMo.", "I Think."]


def ask_derived(replies, own):
    """Judge a persona of a base of no known family, which answers as given."""
    derived = dataclasses.replace(SUBJECT, base_words=(), has_derived_base=True)
    asked = [
        answered("leak_out", f"Who are you, {at}?", reply, baseline)
        for at, (reply, baseline) in enumerate(zip(replies, own, strict=True))
    ]
    assert leak_out.questions(derived, 1.0)
    return leak_out.judge(evidence(derived, asked, gate="leak_out"))


def test_the_words_of_an_unknown_base_are_those_of_its_own_answers():
    """What it calls itself in two answers at least may not be said by its persona."""
    result = ask_derived(["I am Algieba.", "I am OLMo.", "Algieba.", "Algieba."], OWN)

    assert (result.right, result.of) == (3, 4)


def test_an_unknown_base_that_names_nobody_is_not_judged():
    """Without a name in its answers the gate does not apply, and each answer has its mark."""
    result = ask_derived(["I am OLMo."] * 2, ["A model.", "I am here to help."])

    assert result.verdict == "does not apply"
    assert "base.identity_words may name them" in result.note
    assert len(result.marks) == 2
