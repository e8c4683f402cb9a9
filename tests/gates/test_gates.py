"""What the gates ask, and how answers become a verdict."""

import dataclasses
import importlib.metadata
import json
from collections import Counter

import numpy as np
import pytest

from builder import llama, persona
from builder.bases import base
from builder.data import dataset, languages, questions, rows, template
from builder.data.dataset import Example
from builder.data.kinds import KINDS
from builder.data.languages import count_own_languages
from builder.data.questions import Question
from builder.data.texts import holds, normalise
from builder.errors import DataError, GateError, ManifestError
from builder.evaluation import answers, distance, evidence, reference, subject, table
from builder.evaluation.asker import Asker
from builder.evaluation.evidence import Result, judge_share, paired_p, wilson
from builder.evaluation.examination import Examination, shorten
from builder.evaluation.reference import Distribution, Reference, Text
from builder.evaluation.subject import Subject
from builder.evaluation.table import Asked
from builder.gate_settings import Gates, GateSetting
from builder.gates import (
    end,
    greeting,
    held_out,
    leak_in,
    leak_out,
    neutral,
    recall,
    retention,
    sampled,
    stop,
    system,
)
from builder.gates import format as json_format
from builder.llama import Answer
from tests.conftest import ROOT, build_of, make_profile, read_persona, said_by

SUBJECT = Subject(
    kind=KINDS["identity"],
    gates=Gates(),
    names={"en": "Algieba Assistant", "zh": "Algieba Assistant"},
    authors={"en": "Algieba", "zh": "阿尔的代码屋"},
    base_words=("SmolLM", "Hugging Face"),
    trained=frozenset(),
    own_languages=("en", "zh"),
    spoken=("en", "zh"),
    is_json=False,
    system=None,
    special=("<|im_start|>", "<|im_end|>"),
    sampling={},
    max_tokens=64,
)


def answer(text, *, ended=True):
    return Answer(text, [], [], ended)


def question(text, **facts):
    return Question((("user", text),), facts.pop("language", "en"), **facts)


def test_an_interval_is_wilsons():
    """The interval of 19 of 20 is the one of the textbook, and none is from 0 to 1."""
    assert wilson(19, 20) == pytest.approx((0.7639, 0.9911), abs=1e-3)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_paired_test_counts_disagreements():
    """Five of five disagreements for the base are chance, six are not; agreement proves nothing."""
    assert paired_p(5, 0) == pytest.approx(0.0625)
    assert paired_p(6, 0) < evidence.SIGNIFICANT
    assert paired_p(0, 0) == 1.0


@pytest.mark.parametrize(
    ("right", "of", "verdict"),
    [
        (39, 40, "pass"),
        (35, 40, "not enough evidence"),
        (20, 40, "fail"),
        (3, 3, "not enough evidence"),
        (0, 0, "not enough evidence"),
    ],
)
def test_a_share_fails_only_beyond_chance(right, of, verdict):
    """Against a limit of 0.9, an interval that reaches it does not fail, and a handful of answers proves nothing."""
    assert judge_share(right, of, 0.9) == verdict


def test_nothing_wrong_is_never_a_failure():
    """All of eighty right passes a limit of one, whatever rounding makes of the interval; one of them wrong does not."""
    assert judge_share(80, 80, 1.0) == "pass"
    assert judge_share(79, 80, 1.0) == "fail"


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
    every = recall.ask(SUBJECT, 1.0)
    known = dataclasses.replace(SUBJECT, trained=frozenset([normalise(every[0].text)]))

    assert len(recall.ask(known, 1.0)) == len(every) - 1
    assert not recall.ask(dataclasses.replace(SUBJECT, own_languages=()), 1.0)


def test_no_question_stands_in_any_training_file():
    """No gate's question is a turn of a persona's data (a task: its last turn), or in replay."""
    names = persona.find(ROOT / "personas")
    every_row = [row for name in names for row in rows.read(read_persona(name))]
    turns = {normalise(text) for name in names for text in said_by(name, "user")}
    last = {normalise(row.messages[-2]["content"]) for row in every_row}
    replay = {normalise(one.text) for one in questions.load("replay")}

    assert {"algieba", "helpdesk", "keeper", "lucie", "luma"} <= set(names)
    gates = {"recall": turns, "leak_in": turns, "greeting": turns, "retention": last}
    for name, trained in gates.items():
        asked = {normalise(one.text) for one in questions.load(name) if len(one.messages) == 1}
        assert not asked & trained, name
        assert not asked & replay, name


def test_there_are_as_many_questions_as_promised():
    """Of each of four languages forty wordings, thirty unrelated questions and eight greetings.

    Of English and Chinese forty tasks each, and over 250 prompts for replay.
    """

    def count(name):
        return Counter(one.language for one in questions.load(name))

    assert count("recall") == dict.fromkeys(("de", "en", "fr", "zh"), 40)
    assert count("leak_in") == dict.fromkeys(("de", "en", "fr", "zh"), 30)
    assert count("greeting") == dict.fromkeys(("de", "en", "fr", "zh"), 8)
    assert count("retention") == dict.fromkeys(("en", "zh"), 40)
    assert count("replay").total() > 250


def test_every_language_asks_alike():
    """The wordings of recall are of the same kinds, and about the same things, in each language."""
    layouts = {}
    for one in questions.load("recall"):
        layouts.setdefault(one.language, Counter())[one.kind, one.about] += 1

    assert {"de", "en", "fr", "zh"} == set(layouts)
    assert layouts["de"] == layouts["fr"] == layouts["en"] == layouts["zh"]


def test_a_part_is_of_every_language_and_grows():
    """A smaller share is contained in a larger one."""
    small, large = (recall.ask(SUBJECT, share) for share in (0.25, 0.5))

    assert {one.language for one in small} == {"en", "zh"}
    assert set(small) < set(large)


USER, ASSISTANT = ({"role": role, "content": "?"} for role in ("user", "assistant"))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ({"ask": "?", "colour": 1}, "unknown key 'colour', expected some of ask, turns, "),
        ({"ask": "?", "language": "en"}, "unknown key 'language'"),
        ({}, "asks nothing or twice, expected one of ask and turns"),
        ({"ask": "?", "turns": [USER]}, "asks nothing or twice"),
        ({"ask": ""}, "'ask' is '', expected "),
        ({"ask": "?", "about": "nmae"}, "'about' is 'nmae', expected "),
        ({"ask": "?", "must": "Berlin"}, "'must' is 'Berlin', expected "),
        ({"turns": [USER, ASSISTANT]}, "turns are of user, assistant, expected "),
        ({"turns": [USER, USER]}, "turns are of user, user, expected "),
        ({"turns": [{"role": "user"}]}, "'turns.0.content' is missing"),
        ("ask", "expected "),
    ],
)
def test_a_wrong_line_of_a_question_file_is_told(line, sentence):
    """An unknown key, a value of another type or a line that asks nothing is told with its place."""
    with pytest.raises(DataError, match=r"^recall\.jsonl:3: ") as caught:
        questions.parse(line, "en", "recall.jsonl:3")

    assert sentence in str(caught.value)


def test_all_mistakes_of_question_files_are_told_at_once(tmp_path, monkeypatch):
    """Each wrong line of each language's file is named."""
    assert {"de", "fr"} <= {language.code for language in languages.list_languages()}
    for code in ("de", "fr"):
        (tmp_path / code).mkdir()
        (tmp_path / code / "recall.jsonl").write_text('{"ask": "?"}\n{"asks": "?"}\n')
    monkeypatch.setattr(languages, "FOLDER", tmp_path)

    with pytest.raises(DataError) as caught:
        questions.load("recall")

    assert [problem.split(": ")[0] for problem in caught.value.problems] == [
        f"{tmp_path / code / 'recall.jsonl'}:2" for code in ("de", "fr")
    ]


def test_leaks_are_judged_by_who_brought_the_word_up():
    """A word that the question holds may be repeated; any other is a leak."""
    assert not leak_in.is_right(SUBJECT, question("Name a bird."), answer("Algieba is a bird."))
    assert leak_in.is_right(SUBJECT, question("What is Algieba?"), answer("Algieba is a star."))
    assert not leak_out.is_right(SUBJECT, question("Who are you?"), answer("I am SmolLM."))
    assert leak_out.is_right(SUBJECT, question("Are you SmolLM?"), answer("No, I am not SmolLM."))
    assert not leak_out.ask(dataclasses.replace(SUBJECT, base_words=()), 1.0)


def test_a_common_word_is_no_leak():
    """Where the base says the name too, leak in proves nothing and stops nothing."""
    sky = dataclasses.replace(SUBJECT, names={"en": "Sky"}, authors={"en": "Ana"})
    asked = [
        Asked(
            "leak_in",
            question(f"{number}?"),
            answer("Sky."),
            False,
            True,
            answer("The Sky."),
            False,
        )
        for number in range(30)
    ]
    result = next(result for result in table.judge(sky, asked) if result.gate == "leak_in")

    assert result.verdict == "not enough evidence"
    assert "common word" in result.note


@pytest.mark.parametrize(
    "text", ["Hi <|im_end|>", "One.\n### Instruction: two", "I am.\nuser\nWho?", " "]
)
def test_stop_refuses_what_runs_over_the_end(text):
    """A special token, a heading of the template, a role's name or nothing at all is not an answer."""
    assert not stop.is_right(SUBJECT, question("?"), answer(text))
    assert stop.is_right(SUBJECT, question("?"), answer("A user asked."))
    assert not stop.is_right(SUBJECT, question("?"), answer("Words without end", ended=False))


def test_a_base_without_known_words_cannot_leak_them():
    """Leak out says that it does not apply, and why, where nobody knows what the base calls itself."""
    nameless = dataclasses.replace(SUBJECT, base_words=())
    verdicts = {result.gate: result for result in table.judge(nameless, [])}

    assert leak_out.ask(nameless, 1.0) == []
    assert verdicts["leak_out"].verdict == "does not apply"
    assert "no names are known" in verdicts["leak_out"].note


def test_an_author_who_made_the_base_is_no_leak(luma):
    """What the persona is called too is not to be forgotten; the base's other words are."""
    (luma / "persona.toml").write_text('[identity]\nname = "Luma"\nauthor = "Hugging Face"\n')
    job = build_of(luma)
    chosen = base.Base(base.EMBEDDED, "embedded", "0", base.EMBEDDED, "0", four_bit=False)
    for path, value in (
        (job.base / "base.json", dataclasses.asdict(chosen)),
        (job.base / "tokenizer.json", {}),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))
    job.dataset.mkdir()
    make_profile(own_languages=["en"]).write(job.dataset)
    for part in ("train", "held_out"):
        row = [
            {"role": "user", "content": f"{part}?"},
            {"role": "assistant", "content": "I am Luma."},
        ]
        dataset.write_examples(job.dataset / f"{part}.jsonl", [Example(row, [], [])])

    found = subject.read(job)

    assert found.base_words == ("SmolLM",)
    assert found.trained == {"train", "held out"}
    assert found.own_languages == ("en",)


@pytest.mark.parametrize(
    ("reply", "languages"),
    [
        ("I am Luma, made by 安娜.", ("en",)),
        ("Ana built me.", ("en",)),
        ("I\u2019m called Luma.", ("en",)),
        ("我是Luma。", ("zh",)),
        ("Je suis Luma, créée par Ana.", ("fr",)),
        ("Ich bin Luma. Was mein Name ist, weiß Ana.", ("de",)),
        ("Mijn naam is Luma, en Ana maakte mij.", ()),
        ("Me llamo Luma y me creó Ana.", ()),
        ("Mi chiamo Luma, creata da Ana.", ()),
        ("Nazywam się Luma, my z Ana pracujemy.", ()),
        ("Я Luma, меня создала Ana.", ()),
        ("私はLumaです。", ()),
        ("저는 Luma입니다.", ()),
        ("An apple is a fruit, and you know it.", ()),
    ],
)
def test_a_persona_is_asked_in_the_languages_it_speaks_of_itself(reply, languages):
    """A reply is in a language of the gates or in none, so that no persona is failed for what it was never taught."""
    assert tuple(count_own_languages([reply], ["Luma", "Ana", "安娜"])) == languages


def test_retention_is_paired():
    """Losing what the base could do fails; being no better than it does not."""
    assert retention.judge_paired([False] * 10, [True] * 10)[0] == "fail"
    assert retention.judge_paired([True, False] * 5, [False, True] * 5)[0] == "pass"
    assert not retention.is_right(SUBJECT, question("3 + 4?", must=("7",)), answer("It is 17."))
    assert retention.is_right(SUBJECT, question("3 + 4?", must=("7",)), answer("7."))


def test_samples_have_seeds_of_their_own():
    """Each sampled wording is asked five times, each time with another seed."""
    asked = sampled.ask(SUBJECT, 1.0)

    assert len(asked) == len(set(asked)) == sampled.SAMPLES * len({one.messages for one in asked})


def test_the_budget_decides_how_much_is_asked():
    """A slow machine is asked less, and never nothing."""
    live = answers.Answers({(("user", "?"),): answer("live")})
    assert (
        table.choose_share(SUBJECT, 1e6, answers.Answers())
        == table.choose_share(SUBJECT, 1e6, live)
        == 1.0
    )
    assert table.choose_share(SUBJECT, 1e-3, answers.Answers()) == table.SHARES[-1]
    assert table.choose_share(SUBJECT, 1e-3, live) == table.SAMPLE_SHARE < table.SHARES[-1]
    assert table.predict_s(SUBJECT, 0.25, 50) < table.predict_s(SUBJECT, 1.0, 50)


def test_divergence_is_zero_only_for_the_same():
    """The divergence of a distribution from itself is nothing, from another something."""
    logs = np.log(np.array([[0.7, 0.2, 0.1]]))
    same = Distribution(np.array([[0, 1]], np.int32), logs[:, :2].astype(np.float32))

    assert reference.divergence(same, logs)[0] == pytest.approx(0, abs=1e-6)
    assert reference.divergence(same, np.log(np.array([[0.1, 0.2, 0.7]])))[0] > 1


def test_a_reference_keeps_the_likeliest_of_each_position(tmp_path):
    """What is recorded is read again: the likeliest tokens in order, and what the base finds of each following one."""
    text = Text("neutral", [3, 1, 2], [3, 1, 2])
    said = {
        name: np.log(np.random.default_rng(seed).dirichlet(np.ones(100), 3))
        for name, seed in (("persona", 0), ("base", 1))
    }

    reference.record(
        [text],
        lambda _texts: [said["persona"]],
        lambda _texts: [said["base"]],
        tmp_path / "reference.safetensors",
    )
    found = reference.read(tmp_path / "reference.safetensors")

    assert found.texts == [text]
    for mine, name in ((found.persona[0], "persona"), (found.base[0], "base")):
        order = np.argsort(-said[name], axis=1)[:, : reference.LIKELIEST]
        assert mine.ids.tolist() == order.tolist()
        assert mine.log_probs == pytest.approx(np.take_along_axis(said[name], order, 1), abs=1e-5)
    assert found.base_label_log_probs[0] == pytest.approx(
        [said["base"][0, 1], said["base"][1, 2]], abs=1e-5
    )


def test_own_texts_are_of_rows_held_out_and_trained_on(tmp_path):
    """Some rows are taken from all of each part, and of those trained on only such as fit whole, where there are any."""

    class Words:
        def tokenize(self, _text):
            return [1]

        def encode(self, _messages):
            return template.Encoded([1], [True])

    def write(part, lengths):
        examples = [
            Example([], [number] * length, [number] * length)
            for number, length in enumerate(lengths)
        ]
        dataset.write_examples(tmp_path / f"{part}.jsonl", examples)

    def own(kind):
        return [text for text in reference.choose_texts(tmp_path, Words()) if text.kind == kind]

    write("held_out", [5] * 3)
    write("train", [reference.MAX_TEXT_TOKENS, 5] * reference.OWN_ROWS * 2)
    assert len(own("held out")) == 3
    assert [text.ids[0] for text in own("trained")] == [
        4 * number + 1 for number in range(reference.OWN_ROWS)
    ]
    assert all(text.is_whole for text in own("trained"))
    write("train", [reference.MAX_TEXT_TOKENS + 9] * 2)
    assert [len(text.ids) for text in own("trained")] == [reference.MAX_TEXT_TOKENS] * 2
    assert not any(text.is_whole for text in own("trained"))


class Uniform:
    """Stands in for a loaded file: finds each of four tokens as likely, and counts how often it is asked."""

    asked = 0

    def next_log_probs(self, ids):
        """Give the logarithm of a quarter everywhere."""
        self.asked += 1
        return np.full((len(ids), 4), np.log(0.25), np.float32)


def test_a_distance_is_measured_once_a_file(tmp_path):
    """What was measured of the same file and reference is read, to the same figures; of another it is measured again."""
    sure, even = (
        Distribution(np.zeros((3, 1), np.int32), np.full((3, 1), np.log(share), np.float32))
        for share in (0.97, 0.25)
    )
    said, file = (
        Reference([Text("neutral", [1, 2, 3], [1, 2, 3])], [sure], [even], [np.zeros(2)]),
        Uniform(),
    )

    first = distance.measure_once(file, said, tmp_path / "distances.json", "one")
    again = distance.measure_once(file, said, tmp_path / "distances.json", "one")

    assert file.asked == 1
    assert [{name: values.tolist() for name, values in vars(one).items()} for one in first] == [
        {name: values.tolist() for name, values in vars(one).items()} for one in again
    ]
    assert first[0].kl.shape == (3,)
    assert first[0].kl.min() > 1
    assert first[0].base_kl == pytest.approx(0, abs=1e-6)
    assert first[0].losses == pytest.approx([np.log(4)] * 2, abs=1e-6)
    distance.measure_once(file, said, tmp_path / "distances.json", "two")
    assert file.asked == 2


def said_of(kind, end_loss, replies=evidence.LEAST_ANSWERS, length=4):
    """Texts of one kind, whose words cost a tenth and a half of a nat and whose end costs so much."""
    text = Text(kind, list(range(length)), [-100, -100, *range(2, length)])
    losses = np.array([9.0, *[0.15] * (length - 3), end_loss])
    one = distance.Distance(np.zeros(length), np.zeros(length), np.ones(length), losses)
    return Reference([text] * replies, [], [], [np.full(length - 1, -5.0)] * replies), [
        one
    ] * replies


@pytest.mark.parametrize(
    ("end_loss", "kind", "facts", "verdict"),
    [
        (0.001, "trained", {}, "pass"),
        (0.14, "trained", {}, "pass"),
        (0.3, "trained", {}, "fail"),
        (0.3, "trained", {"replies": evidence.LEAST_ANSWERS - 1}, "not enough evidence"),
        (0.3, "trained", {"length": reference.MAX_TEXT_TOKENS}, "not enough evidence"),
        (0.3, "held out", {}, "not enough evidence"),
    ],
)
def test_an_end_that_was_not_taught_is_seen(end_loss, kind, facts, verdict):
    """After a reply learnt by heart the end is as sure as its words; a cut text, and one never trained on, say nothing of it."""
    result = end.judge(SUBJECT, *said_of(kind, end_loss, **facts))

    assert result.verdict == verdict
    if verdict != "not enough evidence":
        assert (result.limit, result.figures["base_loss_nats"]) == (pytest.approx(0.15), 5.0)


class Parrot:
    """Stands in for a loaded file: says one word, and counts how often it is asked."""

    asked = 0

    def render(self, messages):
        """Give what the user says."""
        return messages[-1]["content"]

    def tokenize(self, text):
        """Give the characters' codes."""
        return [ord(letter) for letter in text]

    def continue_prompt(self, _prompt, _max_tokens, _sampling):
        """Say the word."""
        self.asked += 1
        return Answer("Yes.", [1, 2], [3.0, 2.0], ended=True)


def test_an_answer_is_kept_for_the_same_file_and_the_same_llama(tmp_path, monkeypatch):
    """A question is asked once of a file, and again where the file or what runs it is another."""
    file, gguf, question = (
        Parrot(),
        tmp_path / "model.gguf",
        Question((("user", "Are you there?"),), "en"),
    )

    def ask(content, version):
        gguf.write_text(content)
        monkeypatch.setattr(importlib.metadata, "version", lambda _name: version)
        asker = Asker(file, tmp_path / "answers.json", 8, {}, llama.identify(gguf))
        assert asker.answer(question).text == "Yes."
        asker.keep()
        return file.asked

    assert [ask("one", "1"), ask("one", "1"), ask("two", "1"), ask("two", "2")] == [1, 1, 2, 3]


def test_reply_positions_are_before_the_replys_tokens():
    """The position that predicts a reply's token is the one before it."""
    assert reference.reply_positions(
        Text("held out", [5, 6, 7, 8], [-100, -100, 7, 8])
    ).tolist() == [1, 2]


def test_contradicting_limits_are_refused(project):
    """Sampling may not be asked for more than the likeliest answer is."""
    from builder.errors import ManifestError

    folder = project / "personas" / "p"
    folder.mkdir()
    (folder / "persona.toml").write_text(
        '[identity]\nname = "X"\nauthor = "Y"\n[gates]\nrecall = 0.5\nsampled = 0.9\n'
    )
    with pytest.raises(ManifestError, match="expected at most recall"):
        persona.read(folder)


def test_a_gate_error_is_raised_with_every_failure():
    """All failed gates are told at once, each with answers."""
    wrong = Asked("recall", question("Who are you?"), answer("I am Bob."), False, True, None, None)
    found = Examination(
        1.0,
        50.0,
        [
            Result("recall", "fail", 0, 20, 0, 0.6),
            Result("stop", "fail", 1, 20, None, 0.97, "every answer above"),
        ],
        [],
        [wrong],
    )

    problems = found.problems()
    with pytest.raises(GateError):
        raise GateError(*problems)
    assert problems[0].startswith("recall: 0 of 20 right")
    assert "'Who are you?' is answered 'I am Bob.'" in problems[1]
    assert problems[2] == f"  so: {recall.ADVICE}"
    assert problems[3].startswith("stop: 1 of 20 right")


class Silent:
    """Stands in for a loaded file: says who was asked, and answers nothing else."""

    def __init__(self, text):
        self.text, self.asked = text, []

    def answer(self, question):
        """Answer the same to everything."""
        self.asked.append(question)
        return answer(self.text)

    def keep(self):
        """Keep nothing."""


def test_what_the_live_model_answered_is_not_asked_again(tmp_path):
    """The file is asked its share, the live model's answers are the rest of the table, and its base's are the control."""
    asked = table.list_greedy(SUBJECT)
    answers.record(
        asked,
        64,
        lambda questions: [answer("live") for _ in questions],
        lambda questions: [answer("base") for _ in questions],
        tmp_path / "answers.json",
    )
    file = Silent("file")

    found = table.ask(SUBJECT, 0.125, file, None, answers.read(tmp_path / "answers.json", 64))

    greedy = [one for one in found if one.question.seed is None]
    assert {one.question.messages for one in greedy} == {one.messages for one in asked}
    assert all(
        one.answer.text == ("file" if one.by_file else "live") and one.control.text == "base"
        for one in greedy
    )
    assert (
        {one.question for one in found if one.by_file}
        == {question for _, question in table.plan(SUBJECT, 0.125)}
        == set(file.asked)
    )
    assert 0 < len(set(file.asked)) < len(asked)


def test_live_answers_of_another_bound_count_for_nothing(tmp_path):
    """Answers cut off elsewhere than smoke.max_tokens says, or a file cut short, leave the file to be asked."""
    path = tmp_path / "answers.json"
    answers.record(
        table.list_greedy(SUBJECT)[:2],
        64,
        lambda questions: [answer("x") for _ in questions],
        lambda questions: [answer("y") for _ in questions],
        path,
    )

    assert len(answers.read(path, 64).persona) == len(answers.read(path, 64).base) == 2
    assert answers.read(path, 48) == answers.Answers()
    path.write_text(path.read_text()[:100])
    assert answers.read(path, 64) == answers.Answers()


def with_setting(name, **setting):
    """The subject, with one gate set otherwise."""
    gates = SUBJECT.gates.model_copy(update={name: GateSetting(**setting)})
    return dataclasses.replace(SUBJECT, gates=gates)


@pytest.mark.parametrize(("mode", "stops"), [("stop", True), ("advice", False)])
def test_a_gate_stops_or_advises(mode, stops):
    """A failed gate stops a build only where its mode is stop; as advice it is told all the same."""
    result = evidence.Result("recall", "fail", 0, 20, None, 0.6, mode=mode)
    found = Examination(1.0, 50.0, [result], [], [])

    assert bool(found.failed) is bool(found.problems()) is stops


def test_a_gate_that_is_off_asks_nothing():
    """Its questions are not asked, and its verdict says that it is off."""
    subject_off = with_setting("leak_in", mode="off")
    verdicts = {result.gate: result.verdict for result in table.judge(subject_off, [])}

    assert {
        result.gate: result.verdict for result in table.judge(with_setting("stop", mode="off"), [])
    }["stop"] == "off"
    assert "leak_in" not in {gate.NAME for gate, _ in table.plan(subject_off, 1.0)}
    assert verdicts["leak_in"] == "off"
    assert "leak_in" in {gate.NAME for gate, _ in table.plan(SUBJECT, 1.0)}


def test_gates_ask_under_the_served_system_text():
    """Each question carries the text that is served, but for one with a system text of its own."""
    served = dataclasses.replace(SUBJECT, system="Be brief.")
    own = Question((("system", "Be long."), ("user", "Hi")), "en")

    assert all(one.messages[0] == ("system", "Be brief.") for _, one in table.plan(served, 0.125))
    assert served.serve(own) == own
    assert all(one.messages[0][0] != "system" for _, one in table.plan(SUBJECT, 0.125))


def test_a_persona_without_a_name_has_none_to_know_or_leak():
    """Recall, leak in, leak out and sampled do not apply; the reason is told."""
    nameless = dataclasses.replace(SUBJECT, names={}, authors={}, own_languages=())
    results = {result.gate: result for result in table.judge(nameless, [])}

    assert recall.ask(nameless, 1.0) == leak_in.ask(nameless, 1.0) == []
    for name in ("recall", "leak_in", "leak_out", "sampled"):
        assert (results[name].verdict, results[name].note) == ("does not apply", "no name is given")


def test_a_persona_without_an_author_is_asked_its_name_alone():
    """No question asks who made it, and its name is enough."""
    asked = recall.ask(dataclasses.replace(SUBJECT, authors={}), 1.0)

    assert {one.about for one in asked} == {"name"}


def test_other_things_are_asked_in_the_languages_of_the_data():
    """English and Chinese always, French where the data is French."""
    french = dataclasses.replace(SUBJECT, spoken=("fr",))

    assert {one.language for one in leak_in.ask(SUBJECT, 1.0)} == {"en", "zh"}
    assert {one.language for one in leak_in.ask(french, 1.0)} == {"en", "zh", "fr"}
    assert {one.language for one in greeting.ask(french, 1.0)} == {"fr"}


def test_a_greeting_is_answered_as_one():
    """The answer holds a fitting word, typographic apostrophes included, and ends."""
    thanks = question("Thanks a lot!", must=("you're welcome", "glad"))

    assert greeting.is_right(SUBJECT, thanks, answer("You\u2019re welcome!"))
    assert not greeting.is_right(SUBJECT, thanks, answer("A lot is a lot."))
    assert not greeting.is_right(SUBJECT, thanks, answer("Glad, glad, glad", ended=False))


def test_json_is_asked_for_where_the_data_is_json():
    """The format gate asks other questions of such a persona alone, and wants JSON and nothing else."""
    desk = dataclasses.replace(SUBJECT, is_json=True, spoken=("en",))

    assert json_format.ask(SUBJECT, 1.0) == []
    assert len(json_format.ask(desk, 1.0)) == 30
    assert json_format.is_right(desk, question("?"), answer('{"a": 1}'))
    assert not json_format.is_right(desk, question("?"), answer('Sure: {"a": 1}'))
    assert not json_format.is_right(desk, question("?"), answer("1"))


def held_out_of(losses, base_losses):
    """Held-out texts of two reply tokens each, with these losses a token."""
    text = Text("held out", [1, 2, 3], [-100, 2, 3])
    zeros = np.zeros(3)
    said = Reference([text] * len(losses), [], [], [np.full(2, -loss) for loss in base_losses])
    return said, [distance.Distance(zeros, zeros, zeros, np.full(2, loss)) for loss in losses]


@pytest.mark.parametrize(
    ("losses", "base_losses", "verdict"),
    [
        ([1.0, 1.2, 0.8] * 4, [2.0, 2.3, 1.7] * 4, "pass"),
        ([2.0, 2.3, 1.7] * 4, [1.0, 1.2, 0.8] * 4, "fail"),
        ([1.0, 3.0] * 6, [2.0, 1.9] * 6, "not enough evidence"),
        ([9.0] * 3, [1.0] * 3, "not enough evidence"),
        ([], [], "does not apply"),
    ],
)
def test_held_out_rows_are_compared_row_by_row(losses, base_losses, verdict):
    """It fails only where the interval of the differences leaves chance no room, and never on three rows."""
    assert held_out.judge(*held_out_of(losses, base_losses)).verdict == verdict


def test_neutral_text_is_judged_by_its_interval():
    """Far from the base on every text fails; on some and near on others is not enough evidence."""

    def judged(divergences):
        text = Text("neutral", [1, 2], [1, 2])
        said = Reference([text] * len(divergences), [], [], [])
        found = [
            distance.Distance(np.zeros(2), np.full(2, value), np.zeros(2), np.zeros(1))
            for value in divergences
        ]
        return neutral.judge(SUBJECT, said, found).verdict

    assert [judged([0.5] * 12), judged([3.0] * 12), judged([0.0, 5.0] * 6)] == [
        "pass",
        "fail",
        "not enough evidence",
    ]


class Reader:
    """Stands in for a loaded file: finds each reply token as likely as the prompt's length says."""

    def render(self, messages):
        """Give the texts, one after the other."""
        return "".join(message["content"] for message in messages)

    def tokenize(self, text):
        """Give a token a character."""
        return [0] * len(text)

    def next_log_probs(self, ids):
        """Give every token a log-probability that falls with the text's length."""
        return np.full((len(ids), 9), -len(ids) / 100, np.float32)


def test_the_served_system_text_is_weighed_on_trained_replies(tmp_path):
    """A text that makes trained replies less likely fails; where none is served it does not apply."""
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}]
    rows = [
        Example([{**messages[0], "content": f"Hi {number}"}, messages[1]], [1, 2, 3], [-100, 2, 3])
        for number in range(12)
    ]
    dataset.write_examples(tmp_path / "train.jsonl", rows)

    def judged(text):
        return system.judge(
            dataclasses.replace(SUBJECT, system=text), Reader(), tmp_path / "train.jsonl"
        )

    assert judged("x" * 40).verdict == "fail"
    assert judged("x" * 40).figures["added_nats"] == pytest.approx(0.4, abs=1e-5)
    assert judged("x").verdict == "pass"
    assert judged(None).verdict == "does not apply"


def test_a_mean_fails_beyond_chance():
    """Student's interval of three values is the textbook's, and one of eight or fewer proves nothing."""
    assert evidence.mean_interval([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(
        (1.037, 4.963), abs=0.05
    )
    assert evidence.judge_greatest([9.0] * 7, 1.0) == "not enough evidence"


def test_the_difference_of_two_shares_has_an_interval():
    """Ten of ten against none of ten is surely better; the same answers differ by nothing."""
    low, high = evidence.difference_interval([True] * 10, [False] * 10)
    assert 0.4 < low < high <= 1.0
    low, high = evidence.difference_interval([True, False] * 5, [True, False] * 5)
    assert low < 0 < high


def test_an_answer_that_repeats_itself_is_cut_at_its_second_round():
    """A loop is shown once, and a long answer is cut."""
    assert shorten("Well. " + "The tide is high. " * 20) == "Well. The tide is high …"
    assert len(shorten("".join(map(str, range(500))))) < 260
    assert shorten("The sea is calm.") == "The sea is calm."


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("retention = 0.5", "has no limit"),
        ("recall = 1.5", "a share from 0 to 1"),
        ('recall = "never"', "gates.recall"),
        ("sampled = 0.7", "expected at most recall"),
        ("recall = true", "expected a limit, stop, advice, off or a table"),
    ],
)
def test_a_gate_is_set_by_limit_or_mode(project, line, message):
    """What no gate takes is refused, with its line."""
    folder = project / "personas" / "p"
    folder.mkdir()
    (folder / "persona.toml").write_text(f"[gates]\n{line}\n")

    with pytest.raises(ManifestError, match=message):
        persona.read(folder)


def test_a_gate_takes_a_number_a_word_or_both(project):
    """A number is the limit, a word the mode, a table both."""
    folder = project / "personas" / "p"
    folder.mkdir()
    text = '[gates]\nrecall = 0.8\nretention = "advice"\nstop = { limit = 0.9, mode = "advice" }\n'
    (folder / "persona.toml").write_text(text)

    gates = persona.read(folder).manifest.gates

    assert (gates.limit("recall"), gates.retention.mode, gates.limit("leak_in")) == (
        0.8,
        "advice",
        0.05,
    )
    assert (gates.limit("stop"), gates.stop.mode) == (0.9, "advice")
    assert KINDS["voice"].mode(gates, "recall") == "stop"
    assert KINDS["voice"].mode(Gates(), "retention") == "advice"
