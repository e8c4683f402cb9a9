"""The files of a repository: what licences ask for goes along, and the Modelfile names the GGUF."""

import pytest

from builder.bases import families
from builder.bases.licences import LLAMA
from builder.errors import ToolError
from builder.ollama import modelfile
from builder.publication import bundle, licensing
from builder.publication.licensing import Terms

LLAMA_BASE, GEMMA_BASE = "meta-llama/Llama-3.2-1B-Instruct", "google/gemma-3-1b-it"


def make_terms(base=LLAMA_BASE, own="", **changes):
    values = {"base_name": base, "licence": families.find_licence(base), "is_known": True}
    return Terms(**{**values, "own": own, **changes})


def read(build, terms, licences=()):
    items = bundle.make(build, "ana/llama-luma", terms, licences)
    return {item.path: item.content for item in items}


@pytest.fixture
def licences(tmp_path):
    """What Llama's repository holds of its licence."""
    paths = [tmp_path / "LICENSE.txt", tmp_path / "USE_POLICY.md"]
    for path in paths:
        path.write_text(f"The {path.stem} ©")
    return paths


def test_what_the_licence_asks_for_goes_along(fresh, licences):
    """Llama's text, its policy and its notice lie beside the model, which was changed."""
    found = read(fresh, make_terms(), licences)

    assert found["LICENSE.txt"].decode() == "The LICENSE ©"
    assert found["USE_POLICY.md"].decode() == "The USE_POLICY ©"
    notice = found["NOTICE"].decode()
    assert "Llama 3.2 is licensed under the Llama 3.2 Community License, Copyright ©" in notice
    assert "Built with Llama" in notice
    assert "was changed" in notice


def test_a_licence_whose_text_is_missing_is_refused(fresh):
    """Where the text must go along and the base has no file of it, the author gives it."""
    with pytest.raises(
        ToolError, match=r"has no file of its licence \(Llama 3.2 Community"
    ) as caught:
        read(fresh, make_terms())

    assert "in [ollama]" in caught.value.hint
    assert read(fresh, make_terms(own="The text\nof it"))["LICENSE"] == b"The text\nof it\n"


def test_gemma_s_notice_goes_along(fresh):
    """Its terms ask for a file with this sentence."""
    notice = read(fresh, make_terms(GEMMA_BASE))["NOTICE"].decode()

    assert notice.startswith("Gemma is provided under and subject to the Gemma Terms of Use found")


def test_a_free_licence_needs_no_file(fresh):
    """Apache and MIT are named and linked on the card."""
    found = read(fresh, make_terms("Qwen/Qwen3-4B"))

    assert {"LICENSE", "NOTICE"}.isdisjoint(found)


@pytest.mark.parametrize("name", ["luma", "my-llama", "Built-with-Llama"])
def test_a_name_that_does_not_begin_with_llama_is_refused(name):
    """The mend is named: the same name with Llama before it."""
    with pytest.raises(ToolError, match='asks for a name that begins with "Llama"') as caught:
        licensing.check(make_terms(), name)

    assert caught.value.hint == f"push it as Llama-{name}"
    licensing.check(make_terms(), f"Llama-{name}")
    licensing.check(make_terms(), f"llama-{name}")


def test_what_somebody_made_of_llama_is_under_its_rules_too():
    """A family's licence binds whatever is made of it; what else it is under, the author says."""
    terms = make_terms("acme/tuned", licence=LLAMA, is_known=False)
    with pytest.raises(ToolError, match="acme/tuned: has a licence that is not known here"):
        licensing.check(terms, "Llama-x")
    named = make_terms("acme/tuned", licence=LLAMA, is_known=False, own="CC-BY-NC-4.0")
    with pytest.raises(ToolError, match="begins with"):
        licensing.check(named, "luma")

    assert not named.is_listed
    licensing.check(named, "Llama-luma")


def test_a_base_without_a_known_licence_is_refused():
    """Nobody is told a licence that nobody looked up."""
    terms = make_terms("acme/tiny", licence=None, is_known=False)

    with pytest.raises(ToolError, match="expected it by name"):
        licensing.check(terms, "luma")
    licensing.check(make_terms("acme/tiny", licence=None, is_known=False, own="mit"), "luma")


@pytest.mark.parametrize("own", ["", "mit", "Some text"])
def test_with_ollama_the_notice_must_be_in_the_model(own):
    """Nothing goes along there but the licence that the model carries."""
    with pytest.raises(ToolError, match=r"expected it in .ollama. license"):
        licensing.check_carried(make_terms(own=own))
    with pytest.raises(ToolError, match=r"expected it in .ollama. license"):
        licensing.check_carried(make_terms(GEMMA_BASE, own=own))


def test_with_ollama_a_model_that_carries_its_notice_passes():
    """Line ends may differ; a licence that asks for nothing needs nothing."""
    notice = families.find_licence(LLAMA_BASE).notice
    licensing.check_carried(make_terms(own=f"The agreement.\n\n{notice.replace(' ', chr(10))}"))
    licensing.check_carried(make_terms("Qwen/Qwen3-4B"))


@pytest.mark.parametrize(
    "first", ["", "# FROM ./model.gguf\n", 'SYSTEM """\nFROM ./model.gguf\n"""\n']
)
def test_only_the_name_of_the_file_changes(first):
    """A comment or a system text may hold the same line, and stays."""
    text = f"{first}FROM ./model.gguf\nPARAMETER temperature 0.2\n"
    changed = bundle.rename(text, "luma-Q4_K_M.gguf")

    assert changed == f"{first}FROM ./luma-Q4_K_M.gguf\nPARAMETER temperature 0.2\n"
    assert modelfile.parse(changed)[-2:] == [
        ("FROM", "./luma-Q4_K_M.gguf"),
        ("PARAMETER", "temperature 0.2"),
    ]


def test_a_modelfile_of_something_else_is_refused():
    """What names no file of this build is not what the render stage writes."""
    with pytest.raises(ToolError, match="names no"):
        bundle.rename("FROM llama3.2\n", "luma-Q4_K_M.gguf")
