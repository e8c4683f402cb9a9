"""Each question is asked once."""

import dataclasses
import importlib.metadata

from builder import llama
from builder.data.questions import Question
from builder.evaluation import answers, asker, budget
from builder.evaluation.asker import Asker
from builder.gates import calls
from builder.gates.table import GATES
from builder.llama import Answer
from tests.evaluation.samples import SUBJECT, answer


class Parrot:
    """Stands in for a loaded file: says one word, and counts how often it is asked."""

    asked = 0

    def render(self, messages, tools):
        """Give the functions and what the user says."""
        return f"{tools}{messages[-1]['content']}"

    def tokenize(self, text):
        """Give the characters' codes."""
        return [ord(letter) for letter in text]

    def continue_prompt(self, _prompt, _max_tokens, _sampling):
        """Say the word."""
        self.asked += 1
        return Answer("Yes.", [1, 2], [3.0, 2.0], ended=True)


def test_an_answer_is_cached_for_the_same_file_and_the_same_llama(tmp_path, monkeypatch):
    """A question is asked once of a file, and again where the file or what runs it is another."""
    file, gguf, question = (
        Parrot(),
        tmp_path / "model.gguf",
        Question((("user", "Are you there?"),), "en"),
    )

    def ask(content, version):
        gguf.write_text(content)
        monkeypatch.setattr(importlib.metadata, "version", lambda _name: version)
        asker = Asker(
            file,
            cache=tmp_path / "answers.json",
            max_tokens=8,
            sampling={},
            owner=llama.identify(gguf),
        )
        assert asker.answer(question).text == "Yes."
        asker.write()
        return file.asked

    assert [ask("one", "1"), ask("one", "1"), ask("two", "1"), ask("two", "2")] == [1, 1, 2, 3]


class Silent:
    """Stands in for a loaded file: says who was asked, and answers nothing else."""

    def __init__(self, text):
        self.text, self.asked = text, []

    def answer(self, question):
        """Answer the same to everything."""
        self.asked.append(question)
        return answer(self.text)

    def write(self):
        """Write nothing."""


def test_a_question_with_tools_is_asked_of_the_files_alone():
    """Its words may be those of another question, whose recorded answers declare no tools."""
    plain = Question((("user", "Open?"),), "en")
    calling = dataclasses.replace(plain, tools='[{"function": {"name": "hours"}}]', must=("hours",))
    about = dataclasses.replace(SUBJECT, calls=(calling,))
    known = {plain.messages: answer("in-memory")}
    file, base = Silent("file"), Silent("base")
    (found,) = asker.ask(
        [calls],
        about,
        0.125,
        persona=file,
        baseline=base,
        recorded=answers.Answers(known, known),
    )

    assert budget.list_greedy([calls], about) == []
    assert (found.answer.text, found.baseline.text) == ("file", "base")


def test_functions_are_rendered_with_their_question(tmp_path):
    """The prompt, and with it the cached answer, is another where functions are declared."""
    file = Parrot()
    asking = Asker(file, cache=tmp_path / "a.json", max_tokens=8, sampling={}, owner="")
    plain = Question((("user", "Open?"),), "en")
    for tools in ("", '[{"name": "a"}]', '[{"name": "b"}]', '[{"name": "a"}]'):
        asking.answer(dataclasses.replace(plain, tools=tools))

    assert file.asked == 3


def test_what_the_in_memory_model_answered_is_not_asked_again(tmp_path):
    """The file is asked its share; the rest of the answers, and the base's, are those recorded."""
    asked = budget.list_greedy(GATES, SUBJECT)
    answers.record(
        asked,
        64,
        lambda questions: [answer("in-memory") for _ in questions],
        lambda questions: [answer("base") for _ in questions],
        tmp_path / "answers.json",
    )
    file = Silent("file")

    found = asker.ask(
        GATES,
        SUBJECT,
        0.125,
        persona=file,
        baseline=None,
        recorded=answers.read(tmp_path / "answers.json", 64),
    )

    greedy = [one for one in found if one.question.seed is None]
    assert {one.question.messages for one in greedy} == {one.messages for one in asked}
    assert all(
        one.answer.text == ("file" if one.by_file else "in-memory") and one.baseline.text == "base"
        for one in greedy
    )
    assert (
        {one.question for one in found if one.by_file}
        == {question for _, question in budget.plan(GATES, SUBJECT, 0.125)}
        == set(file.asked)
    )
    assert 0 < len(set(file.asked)) < len(asked)
