"""The model card: what the hub reads of it, what a person does, and that texts cannot break it."""

import dataclasses
import itertools

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from builder import cli
from builder.bases.base import Base
from builder.engine import pipeline, stamps
from builder.errors import GateError
from builder.evaluation.report import Finding, OwnAnswer
from builder.ollama.served import Served
from builder.publication import card, licensing
from builder.publication.card import Place
from builder.report import page
from builder.stages import smoke
from tests.evaluation.samples import BASE
from tests.report.pages import make_contents, make_found, make_refusal, make_stamp

READER = MarkdownIt("commonmark", {"html": True}).enable("table")
HEADINGS = (
    *("Run it", "What it answers", "What was verified", "Training", "Licence", "Make it again"),
)
HOSTILE = (
    "---\nlicense: other\n---\n# Not a heading\n```\n<script>alert(1)</script>\n| a | b |\n"
    "[link](http://evil.example) ![image](http://evil.example/x.png) $$x$$ \x1b[2J\x00\u202e\u2028"
)


def make_terms(base=BASE, own=""):
    family = base.family.licence
    binding = family if family and family.stays else None
    return licensing.Terms(
        base_name=base.repository or "own",
        licence=base.licence or binding,
        is_known=base.licence is not None,
        own=own,
    )


def render(contents=None, place=None, own="", **served):
    contents = contents or make_contents()
    terms = make_terms(contents.base, own)
    told = {"model": "luma:latest", "parameters": {"temperature": 0.2, "stop": ["<|im_end|>"]}}
    told |= {"template": None, "system": None, "license": None, **served}
    return card.render(contents, Served(**told), terms, place or Place())


def read(text):
    """Read a card as the hub does: its metadata, and its tokens."""
    found = ModelCard(text)
    return found.data.to_dict(), READER.parse(found.text)


def list_headings(tokens):
    return [
        following.content
        for token, following in itertools.pairwise(tokens)
        if token.type == "heading_open"
    ]


def hub_base(repository, family):
    return Base(
        repository, "hub", "c0ffee", repository, "c0ffee", four_bit=False, family_name=family
    )


def test_the_hub_reads_base_licence_languages_and_gates():
    """The metadata name what the hub lists: base, how it was made, licence, languages, results."""
    data, tokens = read(render())

    assert data["base_model"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert data["base_model_relation"] == "finetune"
    assert (data["license"], data["language"]) == ("apache-2.0", ["en"])
    assert (data["pipeline_tag"], data["library_name"]) == ("text-generation", "gguf")
    assert "gguf" in data["tags"]
    (model,) = data["model-index"]
    shares = {
        metric["name"]: metric["value"] for one in model["results"] for metric in one["metrics"]
    }
    assert shares == {"recall": 0.975, "retention": 0.075, "greeting": 0.6667}
    assert list_headings(tokens) == ["Luma", *HEADINGS]


def test_a_reader_learns_how_to_run_it_and_what_it_is():
    """The body has answers before and after, each gate in words, settings, and no time or path."""
    text = render(system="Be brief.")

    assert "```\nBe brief.\n```" in text
    assert "| Hello | Hi! | Hello. |" in text
    assert "It knows its name and author in 39 of 40 wordings (base: 0)." in text
    assert "fine-tuned on 2 rows" in text
    assert "| `training.rank` | `16` |" in text
    assert "| torch | 2.10.0 |" in text
    assert "ollama create luma -f Modelfile" in text
    assert "hf.co" not in text


def test_the_lines_of_an_answer_stay_lines():
    """Numbered lines stand under each other in their cell."""
    steps = OwnAnswer("How?", "1. Boil.\n2. Eat.", ended=True, baseline=None, problem=None)

    assert "| How? | 1. Boil.<br>2. Eat. |" in render(make_contents(found=make_found(hello=steps)))


def test_a_card_of_a_repository_says_how_to_run_it_from_there():
    """Where Ollama renders by itself what a repository cannot say, only the Modelfile serves."""
    place = Place(repository="ana/luma", gguf="luma-Q4_K_M.gguf")

    assert "ollama run hf.co/ana/luma\nllama-cli -hf ana/luma\n" in render(place=place)
    assert "`luma-Q4_K_M.gguf`" in render(place=place)
    assert "hf.co/ana" not in render(place=place, renderer="gemma4-small")


@pytest.mark.parametrize(
    "changes",
    [
        {"title": HOSTILE, "authors": [HOSTILE]},
        {"found": make_found(hello=OwnAnswer(HOSTILE, HOSTILE, True, HOSTILE, None))},
        {"stamps": {"train": make_stamp(1.0, **{"training.x": HOSTILE})}},
        {"base": dataclasses.replace(BASE, kind="folder", source=f"/home/ana/{HOSTILE}")},
        {"name": "---"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_no_text_can_break_a_card(changes):
    """A hostile text changes neither the metadata nor the headings, tables, links and HTML."""
    data, tokens = read(render(make_contents(**changes), system=HOSTILE, own=HOSTILE))
    plain, expected = read(render(system="x", own="x"))

    assert data.keys() >= plain.keys() - {"base_model", "base_model_relation"}
    assert list_headings(tokens)[1:] == list_headings(expected)[1:]
    assert [one.type for one in tokens if one.type != "inline"][:4] == [
        one.type for one in expected if one.type != "inline"
    ][:4]
    inner = [child for token in tokens for child in token.children or ()]
    assert {one.content for one in inner if one.type == "html_inline"} <= {"<br>", "<!-- -->"}
    assert not [one for one in inner if one.type == "image"]
    links = [one.attrs["href"] for one in inner if one.type == "link_open"]
    assert links in ([], ["https://www.apache.org/licenses/LICENSE-2.0"])
    assert not [one for one in tokens if one.type == "html_block"]


def test_a_folder_of_this_machine_is_not_told():
    """A base in a folder is named by the folder alone, and is no base of the hub."""
    base = dataclasses.replace(BASE, kind="folder", source="/home/ana/secret/tiny")
    data, _ = read(text := render(make_contents(base=base)))

    assert "base_model" not in data
    assert "secret" not in text


def test_a_licence_that_asks_for_something_is_on_the_card():
    """Llama's name, sentence and notice are shown; the hub knows the licence by its version."""
    base = hub_base("meta-llama/Llama-3.2-1B-Instruct", "llama3")
    data, _ = read(text := render(make_contents(base=base)))

    assert data["license"] == "llama3.2"
    assert data["base_model"] == "meta-llama/Llama-3.2-1B-Instruct"
    assert "**Built with Llama**" in text
    assert "Llama 3.2 is licensed under the Llama 3.2 Community License, Copyright ©" in text
    assert "This model is under the same." in text


@pytest.mark.parametrize(
    ("own", "named"),
    [
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),
        (
            "My Licence 1.0\nDo as you like.",
            {"license": "other", "license_name": "my-licence-1.0", "license_link": "LICENSE"},
        ),
        (
            "---\nlicense: mit",
            {"license": "other", "license_name": "own", "license_link": "LICENSE"},
        ),
    ],
)
def test_an_author_may_name_another_licence(own, named):
    """A known name is the hub's; any other is `other`, by a name of plain characters."""
    data, _ = read(render(own=own))

    assert {key: value for key, value in data.items() if key.startswith("license")} == named


def test_a_licence_that_binds_stays():
    """What an author says does not change the licence of what is made of Llama."""
    base = hub_base("meta-llama/Llama-3.2-1B-Instruct", "llama3")
    data, _ = read(render(make_contents(base=base), own="mit"))

    assert data["license"] == "llama3.2"


def test_a_card_that_was_let_through_says_so():
    """Whoever gets the model reads which gate it failed."""
    wrong = OwnAnswer("Who?", "Nobody.", ended=True, baseline=None, problem="lacks 'Luma'")

    assert (
        "**Let through by hand although an answer to the manifest's own questions failed.**"
    ) in render(make_contents(found=make_found(manifest=[wrong])))
    assert "let through" not in render()


def test_a_build_ends_with_its_card(fresh, monkeypatch):
    """A build writes its card beside the file; the same build writes the same, whenever."""
    monkeypatch.setattr(pipeline, "run", lambda *_: pipeline.Result(has_run=True, skipped=()))

    assert cli.main(["build", "luma", "--quiet"]) == cli.DONE
    first = fresh.card.read_bytes()
    assert cli.main(["build", "luma", "--quiet"]) == cli.DONE
    assert fresh.card.read_bytes() == first
    assert b"# Luma" in first


def test_a_refused_build_keeps_no_card_of_an_earlier_file(fresh, monkeypatch):
    """The card is of the file that lies beside it: of one that was refused there is none."""
    card.write(fresh)
    assert fresh.card.exists()
    found = make_found(gates=[make_refusal()], hello=None)

    def run(*_):
        found.write(fresh.refused)
        stamps.note_failure(fresh.folder, smoke.NAME, str(GateError(*found.problems())))
        raise GateError(*found.problems())

    monkeypatch.setattr(pipeline, "run", run)
    assert cli.main(["build", "luma", "--quiet"]) == cli.MENDABLE
    assert not fresh.card.exists()


def test_a_card_that_cannot_be_written_is_no_failure(fresh, monkeypatch, capsys):
    """The build ends as without it, and one line says why there is none."""
    monkeypatch.setattr(pipeline, "run", lambda *_: pipeline.Result(has_run=False, skipped=()))
    fresh.card.mkdir()

    assert cli.main(["build", "luma"]) == cli.DONE
    assert "no model card: " in capsys.readouterr().err


def test_no_question_of_a_row_is_on_a_card():
    """What the file did not learn of private rows is for the persona's own page and screen."""
    missed = Finding("trained", "fail", mode="advice", right=1, of=2, missed=("Where is the key?",))

    assert "Where is the key?" not in render(make_contents(found=make_found(gates=[missed])))
    assert "Where is the key?" in page.render(make_contents(found=make_found(gates=[missed])))
