"""What Ollama is told: decided once, as one value."""

import json
from dataclasses import FrozenInstanceError, asdict, replace

import pytest

from builder.bases import families
from builder.errors import ManifestError
from builder.ollama import modelfile, served
from tests.conftest import ROOT, make_profile

SMOLLM2 = families.FAMILIES[0]
FACTS = {
    "model": "luma:latest",
    "system": None,
    "license": None,
    "given": {},
    "kind": "base",
    "jinja": "{{ messages }}",
    "eos": "<|im_end|>",
    "profile": make_profile(),
    "family": SMOLLM2,
    "find_place": "persona.toml:7: {}.{}".format,
}


def test_it_is_one_value_that_is_compared_as_json():
    """The same facts give equal JSON, another fact gives another, and nothing changes it."""
    first, second = served.decide(**FACTS), served.decide(**FACTS)
    other = served.decide(**{**FACTS, "given": {"top_k": 7}})

    assert json.dumps(asdict(first)) == json.dumps(asdict(second)) != json.dumps(asdict(other))
    with pytest.raises(FrozenInstanceError):
        first.system = "x"


@pytest.mark.parametrize(
    ("changes", "stop"),
    [
        ({}, ["<|im_end|>"]),
        ({"eos": "</s>"}, ["<|im_end|>", "</s>"]),
        ({"profile": make_profile(end_of_turn="<end>")}, ["<|im_end|>", "<end>"]),
        ({"kind": "alpaca"}, ["<|im_end|>", "### Instruction:"]),
    ],
)
def test_every_end_is_a_stop(changes, stop):
    """The family's stops, EOS and the end-of-turn token are served, each once."""
    assert served.decide(**{**FACTS, **changes}).parameters["stop"] == stop


def test_the_longest_row_fits_into_the_context():
    """Ollama would leave out the first turns of a conversation that was trained whole."""
    facts = {**FACTS, "profile": make_profile(longest_row_tokens=600)}
    assert served.decide(**{**facts, "given": {"num_ctx": 600}}).parameters["num_ctx"] == 600

    with pytest.raises(
        ManifestError, match="is 599, expected 600 or more: the longest row"
    ) as told:
        served.decide(**{**facts, "given": {"num_ctx": 599}})
    assert "persona.toml:7: ollama.parameters" in str(told.value)


def test_an_empty_system_text_is_none():
    """An empty text in the manifest serves none, and none is put before a conversation."""
    decided = served.decide(**{**FACTS, "system": ""})
    user, system = {"role": "user", "content": "Hi"}, {"role": "system", "content": "Be brief."}

    assert decided.system is None
    assert "system" not in decided.to_request("0" * 64)
    assert decided.add_system([user]) == [user]
    brief = replace(decided, system="Be brief.")
    assert brief.add_system([user]) == [system, user]
    assert brief.add_system([{**system, "content": "x"}, user])[0]["content"] == "x"


GEMMA4 = {**FACTS, "family": families.find("gemma4"), "eos": "<eos>"}


def test_the_renderer_and_parser_of_a_family_are_told_to_ollama():
    """Ollama renders Gemma 4 by itself, whatever its name, and does not let it think."""
    decided = served.decide(**GEMMA4)
    text = modelfile.render(ROOT / "Modelfile.j2", decided, "Luma", "google/gemma-4-E2B-it")

    request = decided.to_request("0" * 64)
    assert (request["renderer"], request["parser"]) == ("gemma4-small", "gemma4-no-thinking")
    assert decided.template is None
    parsed = modelfile.parse(text)
    assert ("RENDERER", "gemma4-small") in parsed
    assert ("PARSER", "gemma4-no-thinking") in parsed
    assert "parser" not in served.decide(**FACTS).to_request("0" * 64)


@pytest.mark.parametrize("kind", ["alpaca", "chatml"])
def test_a_template_that_ollama_would_not_serve_is_refused(kind):
    """Where Ollama's own renderer cannot be switched off, only the base's template is served."""
    with pytest.raises(
        ManifestError, match=f'persona.toml:7: data.template: is "{kind}", which Ollama does not'
    ):
        served.decide(**{**GEMMA4, "kind": kind})
