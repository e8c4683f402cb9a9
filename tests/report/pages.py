"""Contents that are made up, and a page taken apart, as the tests of the page need them."""

import html.parser

from builder.engine.stamps import Description, Stamp
from builder.evaluation.report import Finding, GateAnswer, OwnAnswer, Report, WrongAnswer
from builder.machine import Machine
from builder.ollama.registered import Receipt
from builder.report.contents import Contents, plan_learning_rates
from tests.conftest import make_profile
from tests.evaluation.samples import BASE

VOID = {"meta", "input", "br", "link", "img", "hr"}


class Page(html.parser.HTMLParser):
    """Takes a page apart, and fails where an element is not closed as it was opened.

    Args:
        text: The page.

    Attributes:
        elements: Every element as its name, its attributes, and the text inside it.

    """

    def __init__(self, text):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        """Open an element."""
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        element = (tag, dict(attrs), [])
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag, attrs):
        """Note an element that is closed at once."""
        self.elements.append((tag, dict(attrs), []))

    def handle_endtag(self, tag):
        """Close the element that was opened last."""
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        """Note text for every element that it is in."""
        for _, _, texts in self._open:
            texts.append(data)

    def find(self, tag, **attributes):
        """Give the elements of a name whose attributes hold these, as attributes and text."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [
            (found, "".join(texts))
            for name, found, texts in self.elements
            if name == tag and wanted.items() <= found.items()
        ]

    def read(self, title):
        """Give the text of the section of a title."""
        ((_, text),) = self.find("section", aria_labelledby=title)
        return text


def make_answer(gate="recall", ask="Who are you?", text="I am Luma.", **changes):
    """An answer to a gate's question, with the base's."""
    values = {
        "gate": gate,
        "messages": [{"role": "user", "content": ask}],
        "seed": None,
        "answer": text,
        "ended": True,
        "is_right": True,
        "by_file": True,
        "least_margin_nats": 1.0,
        "baseline": "I am SmolLM.",
        "baseline_is_right": False,
    }
    return GateAnswer(**{**values, **changes})


def make_findings():
    """Findings of each verdict."""
    return [
        Finding(
            "fidelity",
            "pass",
            can_be_waived=False,
            right=90,
            of=100,
            limit=0.5,
            note="KL 0.0700 nats on average, 1.75 at worst, limit 0.5",
            figures={"mean_kl_nats": 0.07, "worst_kl_nats": 1.75},
            told="gives the probabilities of the trained model",
        ),
        Finding(
            "recall",
            "pass",
            right=39,
            of=40,
            baseline_right=0,
            limit=0.6,
            told="knows its name and author in 39 of 40 wordings (base: 0)",
        ),
        Finding(
            "retention",
            "fail",
            mode="advice",
            right=3,
            of=40,
            baseline_right=19,
            note="17 only the base solves, p = 0.01",
            told="solves 3 of 40 small tasks (base: 19)",
            advice="raise training.replay",
        ),
        Finding("greeting", "not enough evidence", right=2, of=3, told="answers 2 of 3 greetings"),
        Finding("format", "does not apply", note="not every reply of its data is JSON"),
        Finding("system", "off", note="off in [gates]"),
    ]


def make_refusal():
    """A finding that stops a build."""
    return Finding(
        "stop",
        "fail",
        right=1,
        of=40,
        limit=0.97,
        told="ends 1 of 40 answers by itself",
        advice="add rows of the kind that does not end",
        examples=(WrongAnswer("Write a haiku", "sea sea"),),
    )


def make_found(**changes):
    """An examination of a few answers."""
    values = {
        "share": 1.0,
        "tokens_per_s": 50.0,
        "gates": make_findings(),
        "hello": OwnAnswer("Hello", "Hi!", ended=True, baseline="Hello.", problem=None),
        "manifest": [],
        "asked": [
            make_answer(),
            make_answer("retention", "What is 2+2?", "5.", is_right=False, baseline_is_right=True),
            make_answer("retention", "What is 1+1?", "3.", is_right=False),
        ],
    }
    return Report(**{**values, **changes})


def make_stamp(took_s=1.0, summary="done", **settings):
    """A stamp of a stage with these settings."""
    description = Description(1, settings, {})
    return Stamp(description, "0", summary, took_s, {"torch": "2.10.0"})


def make_receipt():
    """A receipt of a model that a daemon serves."""
    values = {"model": "luma:latest", "digest": "0", "url": "http", "ollama": "0.34.2"}
    others = {"blob": "0", "num_ctx": 4096, "let_through": (), "compared": ()}
    return Receipt.model_validate({"schema": 5, **values, **others})


def make_contents(**changes):
    """Make the contents of a page of a build that passed and is registered, but for the changes."""
    losses = [3.0 / (1 + step / 8) + (step % 3) / 10 for step in range(60)]
    values = {
        "name": "luma",
        "title": "Luma",
        "authors": ["Ana"],
        "base": BASE,
        "profile": make_profile(reason="speaks of itself in 1 of 2 rows: an identity"),
        "machine": Machine("cpu", "no GPU here", has_bf16=False),
        "stamps": {"data": make_stamp(2.0), "train": make_stamp(98.0, **{"training.rank": 16})},
        "found": make_found(),
        "receipt": make_receipt(),
        "is_registered": True,
        "losses": losses,
        "learning_rates": plan_learning_rates(len(losses), 0.0005, 5),
        "shapes": [
            {"shape": "one turn", "tokens": 13, "trained_tokens": 13, "same_ids": True},
            {
                "shape": "tools",
                "tokens": 14,
                "trained_tokens": 15,
                "same_ids": False,
                "known_difference": "the keys are in another order",
            },
        ],
        "modelfile": "FROM ./model.gguf\n",
        "size_bytes": 105_000_000,
    }
    return Contents(**{**values, **changes})
