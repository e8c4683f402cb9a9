"""What Ollama is told."""

import re

import pytest

from builder import persona
from builder.bases import families
from builder.engine import pipeline
from builder.errors import ManifestError, ToolError
from builder.ollama import modelfile
from builder.ollama import served as serving
from builder.ollama.served import Served
from builder.stages import base, data, render
from builder.terminal.console import Console
from tests.conftest import ROOT, build_of, make_profile, run_persona

TEMPLATE = ROOT / "Modelfile.j2"
PARAMETERS = {"temperature": 0.7, "stop": ["<|im_end|>", "a b"], "num_ctx": 4096}


def served(**changes):
    return Served(
        **{
            "model": "x:latest",
            "parameters": PARAMETERS,
            "template": "{{ .Prompt }}",
            "system": None,
            "license": None,
            **changes,
        }
    )


@pytest.mark.parametrize(
    "system",
    [
        "You are Luma.",
        "two\nlines",
        ' "quoted" ',
        'x = """y""" z',
        "# no comment\nFROM elsewhere",
        'ends with "',
        "  blanks \n\n",
    ],
)
def test_what_is_rendered_reads_back(system):
    """A system text of any ordinary kind stands in the Modelfile exactly."""
    text = modelfile.render(TEMPLATE, served(system=system), "Luma", "base")

    assert ("SYSTEM", system) in modelfile.parse(text)
    assert [pair for pair in modelfile.parse(text) if pair[0] == "FROM"] == [
        ("FROM", "./model.gguf")
    ]


def test_lost_characters_are_named():
    """Characters a Modelfile cannot carry are named in a comment, and are no error."""
    text = modelfile.render(TEMPLATE, served(system="a\u3000b\u200d"), "Luma", "base")

    assert "U+200D, U+3000" in text


def write_ollama(folder, table):
    """Give a persona's manifest an `[ollama]` table, and read it."""
    identity = '[identity]\nname = "L"\nauthor = "A"\n'
    (folder / "persona.toml").write_text(f"{identity}[ollama]\n{table}\n")
    return persona.read(folder)


def test_the_eos_of_the_base_is_known_once_there_is_one(luma):
    """What only the base takes for a special token is refused when its Modelfile is rendered."""
    read = write_ollama(luma, "system = 'Say <halt> now.'")
    modelfile.check(read, TEMPLATE)

    sentence = r"persona\.toml:5: ollama\.system: line 1 contains the special token '<halt>'"
    with pytest.raises(ManifestError, match=sentence):
        serving.decide(
            model="x",
            system=read.manifest.ollama.system,
            license=None,
            given={},
            kind="base",
            jinja="{{ messages }}",
            eos="<halt>",
            profile=make_profile(),
            family=families.FAMILIES[0],
            find_place=read.where,
        )


def test_a_short_context_and_a_broken_template_are_told_at_once(luma, tmp_path):
    """What is checked beside the manifest is one error too."""
    read = write_ollama(luma, "parameters.num_ctx = 256\n[smoke]\nmax_tokens = 512")
    broken = tmp_path / "broken.j2"
    broken.write_text("FROM ./model.gguf\n{{ systm }}\n")

    with pytest.raises(ManifestError) as told:
        modelfile.check(read, broken)

    of_context, of_template = told.value.problems
    assert "persona.toml:5: ollama.parameters.num_ctx: is 256, expected at least 512" in of_context
    expected = "expected a Jinja template of a Modelfile"
    assert of_template == f"{broken}:2: 'systm' is undefined, {expected}"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{% endif -%}\nREQUIRES", "REQUIRES", "Unexpected end of template"),
        ("{{ system", "{{ systm", ":10: 'systm' is undefined"),
        ("{{ license", "{{ 1 + license", ":16: TypeError: "),
        ("REQUIRES", "REQUIRE", "'REQUIRE' is not an instruction"),
        ("TEMPLATE {{ go_template | quoted }}", "", "renders no TEMPLATE"),
        ("LICENSE {{ license | quoted }}", "", "renders no LICENSE"),
        ("SYSTEM {{ system | quoted }}", "SYSTEM I am somebody else", "renders no SYSTEM"),
        ("{% if license is not none -%}", "{% if true -%}", "renders an unwanted LICENSE"),
    ],
)
def test_a_broken_template_is_found_before_there_is_a_base(luma, old, new, message):
    """Each branch of Modelfile.j2 is tried with sample values, whatever this persona needs."""
    path = luma.parent.parent / "Modelfile.j2"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))

    with pytest.raises(ToolError, match=re.escape(message)) as told:
        modelfile.check(write_ollama(luma, "system = 'x'\nlicense = 'MIT'"), path)
    assert str(told.value).startswith(f"{path}:")


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"\xff\xfea", ":1: is UTF-16"), (b"\xc3(", ":1: byte 0xc3 is not")],
)
def test_a_template_that_cannot_be_read_is_one_sentence(luma, content, message):
    """Without Modelfile.j2, or in another encoding, the sentence names it."""
    path = luma.parent.parent / "Modelfile.j2"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)

    with pytest.raises(ToolError, match=message):
        modelfile.check(persona.read(luma), path)


def test_values_that_only_this_template_cannot_carry_are_found(luma):
    """The persona's own values are rendered too, and must read back."""
    path = luma.parent.parent / "Modelfile.j2"
    path.write_text(path.read_text().replace("value | parameter", "value"))
    modelfile.check(write_ollama(luma, ""), path)

    with pytest.raises(ToolError, match="renders no PARAMETER"):
        modelfile.check(write_ollama(luma, 'parameters.stop = [" two "]'), path)


@pytest.mark.parametrize("act", ["build", "plan"])
def test_it_is_checked_before_the_first_stage(luma, monkeypatch, act):
    """Neither a build nor a plan begins with a manifest that cannot be served."""
    write_ollama(luma, "parameters.num_ctx = 256\n[smoke]\nmax_tokens = 512")
    monkeypatch.setattr(base, "run", lambda _inputs, _work: pytest.fail("was run"))
    build, stages = build_of(luma), (base, data, render)

    def begin():
        if act == "build":
            pipeline.run(build, stages, Console())
        else:
            raise pipeline.plan(build, stages).problem

    with pytest.raises(ManifestError, match="num_ctx: is 256, expected at least 512"):
        begin()
    assert not build.modelfile.exists()


def test_a_mistake_is_one_line_on_the_screen(luma):
    """Typed, it ends with 1 and one line a mistake, and no stage has run."""
    manifest = luma / "persona.toml"
    table = "[ollama]\nsystem = '[INST]'\nparameters.seed = 1.5\n"
    manifest.write_text(f'[identity]\nname = "L"\nauthor = "A"\n{table}')
    done = run_persona("build", "luma", cwd=luma.parent.parent)

    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "error"]


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
        (
            "{% if tools %}{{ messages }}",
            "{{ .Prompt }}",
            (None, "it knows tools, and Ollama prefers it since 0.30.0"),
        ),
        ("{% if tools %}<think>{{ messages }}", None, (None, "knows tools and thinking")),
        ("{{ messages }}", None, (None, "no Go TEMPLATE is known")),
    ],
)
def test_the_form_that_is_served_is_chosen_and_explained(jinja, go, chosen):
    """A TEMPLATE that Ollama would pass over is not written, and the build says why."""
    template, why = serving.choose_template(jinja, go)

    assert template == chosen[0]
    assert chosen[1] in why
