"""The page of a build: one file that holds what it should, and runs nothing of a build's."""

import base64
import dataclasses
import hashlib
import itertools
import re

import pytest

from builder.engine.spans import Span
from builder.evaluation.report import Finding, OwnAnswer
from builder.report import page
from builder.report.contents import Stop
from tests.report.pages import (
    Page,
    make_answer,
    make_contents,
    make_findings,
    make_found,
    make_refusal,
    make_stamp,
)

STYLE, SCRIPT = page._read("page.css"), page._read("page.js")
EMPTY = {
    "stamps": {},
    "found": None,
    "receipt": None,
    "is_registered": False,
    "losses": [],
    "learning_rates": [],
    "shapes": [],
    "modelfile": "",
    "size_bytes": None,
}


def make_refused(**changes):
    found = make_found(gates=[*make_findings(), make_refusal()], **changes)
    stop = Stop("smoke", found.problems()[0])
    return make_contents(found=found, stop=stop, is_registered=False)


EVERY = {
    "registered": make_contents(),
    "refused": make_refused(),
    "hardly begun": make_contents(**EMPTY),
}


@pytest.mark.parametrize("contents", EVERY.values(), ids=EVERY)
def test_the_page_is_whole_html(contents):
    """Elements are closed as they were opened, ids are unique, and every label is there."""
    read = Page(page.render(contents))
    ids = [found["id"] for _, found, _ in read.elements if "id" in found]

    assert len(ids) == len(set(ids))
    labels = [found["aria-labelledby"] for found, _ in read.find("section")]
    assert len(labels) == 9
    assert set(labels) <= set(ids)
    assert read.find("html", lang="en")
    assert read.find("title")[0][1].startswith("luma: ")
    for found, _ in read.find("svg"):
        assert found.get("aria-hidden") == "true" or (
            found["role"] == "img" and found["aria-label"]
        )
    for found, text in read.find("label"):
        assert text.strip(), found


@pytest.mark.parametrize("contents", EVERY.values(), ids=EVERY)
def test_nothing_is_fetched(contents):
    """The page names no address, and its policy lets a browser run its own script alone."""
    html = page.render(contents)
    read = Page(html)

    assert not re.search(r"https?:|//[a-z]|url\(|@import|srcset|\bsrc=", html)
    ids = {f"#{found['id']}" for _, found, _ in read.elements if "id" in found}
    assert {found["href"] for found, _ in read.find("a")} <= ids
    (policy,) = (found["content"] for found, _ in read.find("meta") if "http-equiv" in found)
    assert policy.startswith("default-src 'none'; ")
    for name, text in (("style", STYLE), ("script", SCRIPT)):
        ((_, written),) = read.find(name)
        digest = base64.b64encode(hashlib.sha256(written.encode()).digest()).decode()
        assert written == text
        assert f"{name}-src 'sha256-{digest}'" in policy


@pytest.mark.parametrize("contents", EVERY.values(), ids=EVERY)
def test_headings_are_in_order(contents):
    """One heading of the first level comes first, and no level is left out on the way down."""
    read = Page(page.render(contents))
    levels = [int(name[1]) for name, _, _ in read.elements if re.fullmatch(r"h[1-6]", name)]

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    titles = [text for _, text in read.find("h2")]
    assert titles == [
        "Answers before and after",
        "Gates",
        "Loss and learning rate",
        "Parity",
        "What was forgotten",
        "Quantisation error",
        "Modelfile",
        "Times",
        "Make it again",
    ]


def test_tables_have_captions_and_headings():
    """Every table says what it is, and each of its headings what it heads."""
    read = Page(page.render(make_contents()))

    assert len(read.find("table")) == len(read.find("caption")) == 4
    assert {found["scope"] for found, _ in read.find("th")} == {"col", "row"}


HOSTILE = {
    "script": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "attribute": '"\' onmouseover=alert(1) x="',
    "comment": "--> </style></script></pre><!-- <svg onload=alert(1)>",
    "template": "{{ 7 * 7 }}{% for x in y %}",
    "terminal": "\x1b[31mred\x1b]8;;x\x07\x00\x9b",
    "direction": "\u202egnp.exe \u2066 \u200f",
    "surrogate": "\ud800 and \udfff",
    "emoji": "👩‍👩‍👧 שלום مرحبا é",
    "long": "é<" * 50_000,
}


def fill(text):
    """Put a text wherever one may come from outside."""
    finding = Finding("recall", "fail", mode="advice", right=1, of=9, told=text, note=text)
    measured = dataclasses.replace(finding, gate=text, figures={text: 0.1}, advice=text)
    fidelity = dataclasses.replace(measured, gate="fidelity")
    own = OwnAnswer(text, text, ended=False, baseline=text, problem=text)
    answers = [make_answer(gate, text, text, baseline=text) for gate in ("recall", text)]
    forgotten = make_answer(
        "retention", text, text, baseline=text, is_right=False, baseline_is_right=True
    )
    return make_contents(
        name=text,
        title=text,
        authors=[text],
        base=dataclasses.replace(make_contents().base, source=text, revision=text),
        profile=dataclasses.replace(make_contents().profile, reason=text),
        stamps={text: make_stamp(1.0, text, **{text: text, "export.quantisation": text})},
        stop=Stop("smoke", text),
        found=make_found(
            gates=[finding, measured, fidelity],
            hello=own,
            manifest=[own],
            asked=[*answers, forgotten],
        ),
        shapes=[{**make_contents().shapes[1], "shape": text, "known_difference": text}],
        modelfile=text,
    )


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_whatever_a_text_holds_is_shown_as_text(text):
    """A text from outside opens no element, holds no control character, and is cut where long."""
    html = page.render(fill(text))
    read, plain = Page(html), Page(page.render(fill("plain")))

    assert [name for name, _, _ in read.elements] == [name for name, _, _ in plain.elements]
    assert [set(found) for _, found, _ in read.elements] == [
        set(found) for _, found, _ in plain.elements
    ]
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", html)
    assert len(html.encode()) < 1_000_000
    shown = page._finalize(text)
    if len(text) < 1000:
        for tag in ("h1", "pre"):
            assert shown in read.find(tag)[0][1]
        assert all(found == shown for _, found in read.find("p", class_="ask"))
    assert {found["dir"] for found, _ in read.find("p", class_="ask")} == {"auto"}


def test_the_page_stays_under_its_bound():
    """However many and long answers are, the page is under 1 MB, and counts what it leaves out."""
    long, rooms = "".join(map(str, range(20_000))), {}
    for count, text in ((400, "I am Luma. " * 9), (400, long), (5000, long)):
        asked = [make_answer("retention", text, text, baseline=text)] * count
        wrong = [dataclasses.replace(one, is_right=False, baseline_is_right=True) for one in asked]
        html = page.render(make_contents(found=make_found(asked=[*asked, *wrong])))
        assert len(html.encode()) < 1_000_000
        left_out = re.search(r"<p>(\d+) more are not shown here", html)
        rooms[count, text] = int(left_out[1]) if left_out else 0

    assert list(rooms.values())[:2] == [0, 0]
    assert 0 < list(rooms.values())[2] < 10_000


def find_verdict(contents):
    found = [text for found, text in Page(page.render(contents)).find("p") if found.get("class")]
    return next(text for text in found if not text.startswith("now"))


def test_the_verdict_is_said_first():
    """One sentence says whether it passed, was refused, stopped or let through, and is served."""
    passed = make_contents()
    unserved = make_contents(is_registered=False, receipt=None)
    let_through = make_contents(found=make_found(gates=[make_refusal()]))
    parity = make_contents(
        found=None, stop=Stop("parity", "parity: 'one turn' parts"), is_registered=False
    )
    told = "Gates: 2 passed, 1 failed as advice, 1 without enough evidence."

    assert find_verdict(passed) == f"Passed. {told} It is registered in Ollama as luma:latest."
    assert find_verdict(unserved) == f"Passed. {told} Nothing was registered in Ollama."
    assert find_verdict(let_through).startswith("Let through by --anyway. Failed: stop. ")
    assert find_verdict(parity).startswith("Stopped. At parity: parity: 'one turn' parts. Nothing")
    assert find_verdict(make_contents(**EMPTY)).startswith("Half built. ")
    unasked = "The file that is there was asked nothing yet: just build luma asks it."
    assert find_verdict(make_contents(found=None)) == f"Not examined. {unasked}"


def test_a_refused_build_says_so():
    """The page of a refused build names the gate, what to do, its answers' file, and what stays."""
    wrong = OwnAnswer("Who?", "Bob.", ended=True, baseline=None, problem="lacks 'Luma'")
    read = Page(page.render(make_refused(manifest=[wrong])))
    stays = "Nothing was registered; luma:latest in Ollama is of an earlier build."

    refused = find_verdict(make_refused(manifest=[wrong]))
    own = "an answer to the manifest's own questions"
    counted = "Gates: 2 passed, failed: smoke and stop, 1 failed as advice, 1 without enough "
    counted += "evidence."
    assert refused == f"Refused. {own} and stop failed. {counted} {stays}".replace("an a", "An a")
    assert "stop: fail" in read.read("gates-title")
    assert "What to do: add rows of the kind that does not end" in read.read("gates-title")
    assert "lacks 'Luma'" in read.read("answers-title")
    assert "logs/smoke-failed.json" in read.read("answers-title")
    assert "ollama run" not in read.read("again-title")


def test_answers_stand_beside_the_base_s():
    """Each question is shown with the base's answer and the persona's, and whether it is right."""
    read = Page(page.render(make_contents()))
    answers = [text for found, text in read.find("li") if "wrong" in found.get("class", "")]
    shown = read.read("answers-title")

    assert re.search(r"Who are you\?\s+beforeI am SmolLM\.\s+now, rightI am Luma\.", shown)
    assert re.search(r"Hello\s+beforeHello\.\s+nowHi!", shown)
    assert sum("What is 2+2?" in text for text in answers) == 2  # among the answers, and forgotten
    assert "2 of 2 right" not in shown
    assert "0 of 2 right" in shown


def test_what_was_forgotten_is_what_the_base_alone_solves():
    """A task that the base solves too, or that neither solves, is not forgotten."""
    read = Page(page.render(make_contents()))
    none = make_contents(found=make_found(asked=[make_answer("retention")]))

    assert "What is 2+2?" in read.read("forgotten-title")
    assert "What is 1+1?" not in read.read("forgotten-title")
    assert "None of the 1 small tasks" in Page(page.render(none)).read("forgotten-title")


def test_each_gate_is_told_in_words_with_its_figures():
    """A gate has its verdict, words, interval, baseline and limit; one that failed its advice."""
    told = Page(page.render(make_contents())).read("gates-title")

    assert "It knows its name and author in 39 of 40 wordings (base: 0)." in told
    interval = "39 of 40 right, 95 % interval 87% to 100%"
    assert f"{interval}, the base 0 of 40, expected 60% or more" in told
    assert told.count("What to do:") == 1
    assert "fail (advice: it stops nothing)" in told
    assert "There is not enough evidence whether it answers 2 of 3 greetings." in told
    assert "format: does not apply" in told


def test_times_settings_and_commands_are_there():
    """Each stage has its time, each setting its value, and commands make the build again."""
    read = Page(page.render(make_contents()))

    assert "1m40s in all" in read.read("times-title")
    assert "98s" not in read.read("times-title")
    assert "train1m38s" in read.read("times-title")
    again = read.read("again-title")
    assert "just build luma --base smollm2-135m-instruct" in again
    assert "training.rank16" in again
    assert "torch2.10.0" in again
    assert "ollama run luma\n" not in again.partition("ollama run luma")[0]


def test_the_pieces_of_a_stage_have_their_times():
    """Under a stage stands what it did for how long, but for what took hardly any time."""
    contents = make_contents()
    spans = [("loads libraries", 20.0), ("trains", 77.0), ("<i>blinks</i>", 0.2)]
    stamp = dataclasses.replace(
        contents.stamps["train"], spans=tuple(Span(what=what, took_s=s) for what, s in spans)
    )
    stamps = {**contents.stamps, "train": stamp}
    read = Page(page.render(dataclasses.replace(contents, stamps=stamps)))

    times = read.read("times-title")
    assert "loads libraries20s" in times
    assert "trains1m17s" in times
    assert "blinks" not in times


PALETTES = {
    "light": re.search(r"^:root \{(.*?)\}", STYLE, re.DOTALL)[1],
    "dark": re.search(r"scheme: dark\) \{\s*:root \{(.*?)\}", STYLE, re.DOTALL)[1],
    "print": re.search(r"media print \{\s*:root \{(.*?)\}", STYLE, re.DOTALL)[1],
}
TEXT = ("text", "muted", "link", "good", "weak", "bad")
SHAPES = ("line", "bar", "bar-wrong", "limit", "baseline", "text")


def contrast(one, other):
    """Give the contrast of two colours as WCAG 2.2 defines it."""

    def luminance(colour):
        channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES)
def test_colours_can_be_told_apart(palette):
    """Text has a contrast of 4.5 and more, shapes of 3 and more, on both grounds."""
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", palette))
    assert set(colours) == {"page", "panel", *TEXT, *SHAPES}

    assert contrast("#000000", "#ffffff") == 21
    for names, least in ((TEXT, 4.5), (SHAPES, 3)):
        for name in names:
            for ground in ("page", "panel"):
                measured = contrast(colours[name], colours[ground])
                assert measured >= least, (name, ground, measured)


def test_every_colour_comes_from_the_palette():
    """No rule names a colour of its own, so that each is told apart in every palette."""
    rules = re.sub(r":root \{.*?\}", "", STYLE, flags=re.DOTALL)

    assert not re.search(r"#[0-9a-fA-F]{3}|rgb|hsl|opacity", rules)
    assert set(re.findall(r"var\(--([a-z-]+)\)", rules)) == {"page", "panel", *TEXT, *SHAPES}


def test_settings_that_nobody_set_are_left_out():
    """The page tells what a stage was made with, and not all that it could have been."""
    stamp = make_stamp(98.0, **{"training.rank": 16, "training.recipe": None})
    text = page.render(make_contents(stamps={"data": make_stamp(2.0), "train": stamp}))

    assert "training.rank" in text
    assert "training.recipe" not in text
