"""What Ollama is told."""

import pytest

from builder import modelfile
from builder.errors import ManifestError, ToolError
from builder.modelfile import Served
from tests.conftest import ROOT, job_of

TEMPLATE = ROOT / "Modelfile.j2"
PARAMETERS = {"temperature": 0.7, "stop": ["<|im_end|>", "a b"], "num_ctx": 4096}


def served(**changes):
    return Served(**{"model": "x:latest", "parameters": PARAMETERS, "template": "{{ .Prompt }}", "system": None, "license": None, **changes})


@pytest.mark.parametrize("system", ["You are Luma.", "two\nlines", ' "quoted" ', 'x = """y""" z', "# no comment\nFROM elsewhere", 'ends with "', "  blanks \n\n"])
def test_what_is_rendered_reads_back(system):
    """A system text of any ordinary kind stands in the Modelfile exactly."""
    text = modelfile.render(TEMPLATE, served(system=system), "Luma", "base")

    assert ("SYSTEM", system) in modelfile.parse(text)
    assert [pair for pair in modelfile.parse(text) if pair[0] == "FROM"] == [("FROM", "./model.gguf")]


def test_an_injection_is_refused(luma):
    """A system text that would end its quotes is refused with its line."""
    (luma / "persona.toml").write_text('[identity]\nname = "L"\nauthor = "A"\n[ollama]\nsystem = \'\'\'a\nx = """\nADAPTER /x\'\'\'\n')

    with pytest.raises(ManifestError, match="line 2 ends with"):
        modelfile._check_system(job_of(luma).persona, "</s>")


def test_lost_characters_are_named():
    """Characters a Modelfile cannot carry are named in a comment, and are no error."""
    text = modelfile.render(TEMPLATE, served(system="a\u3000b\u200d"), "Luma", "base")

    assert "U+200D, U+3000" in text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("temprature = 1", "did you mean 'temperature'"),
        ('stop = "x"', "expected a list"),
        ('top_k = "3"', "expected a whole number"),
        ("typical_p = 1.0", "Ollama 0.34.1 refuses"),
        ("mirostat = 1", "unknown to Ollama"),
    ],
)
def test_parameters_are_checked_here(luma, line, message):
    """Ollama stores parameters unchecked, so they are checked before."""
    (luma / "persona.toml").write_text(f'[identity]\nname = "L"\nauthor = "A"\n[ollama.parameters]\n{line}\n')

    with pytest.raises(ManifestError, match=message):
        modelfile._check_parameters(job_of(luma).persona)


def test_a_template_that_says_something_else_is_refused(tmp_path):
    """An edited Modelfile.j2 that drops or adds an instruction does not pass."""
    broken = tmp_path / "Modelfile.j2"
    broken.write_text(TEMPLATE.read_text() + "ADAPTER ./x\n")

    with pytest.raises(ToolError, match="an unwanted ADAPTER"):
        modelfile.render(broken, served(), "Luma", "base")


@pytest.mark.parametrize(
    ("jinja", "go", "chosen"),
    [
        ("{{ messages }}", "{{ .Prompt }}", ("{{ .Prompt }}", "as a TEMPLATE")),
        ("{% if tools %}{{ messages }}", "{{ .Prompt }}", (None, "knows tools and wins since Ollama 0.30.0")),
        ("{% if tools %}<think>{{ messages }}", None, (None, "knows tools and thinking")),
        ("{{ messages }}", None, (None, "none is known")),
    ],
)
def test_the_form_that_is_served_is_chosen_and_explained(jinja, go, chosen):
    """A TEMPLATE that Ollama would pass over is not written, and the build says why."""
    template, why = modelfile._choose_template(jinja, go)

    assert template == chosen[0]
    assert chosen[1] in why
