"""What a base's licence asks of a model that is passed on."""

import pytest

from builder.bases import families, licences


@pytest.mark.parametrize(
    ("repository", "identifier"),
    [
        ("HuggingFaceTB/SmolLM2-360M-Instruct", "apache-2.0"),
        ("microsoft/Phi-4-mini-instruct", "mit"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama3.1"),
        ("meta-llama/Llama-3.2-1B-Instruct", "llama3.2"),
        ("unsloth/Llama-3.2-1B-Instruct", "llama3.2"),
        ("unsloth/Llama-3.3-70B-Instruct-unsloth-bnb-4bit", "llama3.3"),
        ("google/gemma-3-1b-it", "gemma"),
        ("google/gemma-4-E2B-it", "apache-2.0"),
        ("Qwen/Qwen2.5-3B-Instruct", "qwen-research"),
        ("Qwen/Qwen2.5-7B-Instruct", "apache-2.0"),
        ("LiquidAI/LFM2-350M", "lfm1.0"),
    ],
)
def test_a_repository_of_the_table_has_its_own_licence(repository, identifier):
    """A licence is found by the repository: sizes and versions of one family differ."""
    found = families.find_licence(repository)

    assert found is not None
    assert found.identifier == identifier


@pytest.mark.parametrize("repository", ["acme/Llama-3.2-1B-Instruct", "Qwen3-4B", "unsloth/other"])
def test_what_somebody_made_of_a_base_has_no_known_licence(repository):
    """A name that only looks like one of the table says nothing of the licence."""
    assert families.find_licence(repository) is None


def test_each_version_of_llama_is_named_in_its_notice():
    """The sentence that must go along names the version, and the rules are the family's."""
    found = licences.make_llama("3.2")

    assert found.notice.startswith("Llama 3.2 is licensed under the Llama 3.2 Community License")
    assert found.link == "https://www.llama.com/llama3_2/license/"
    assert (found.prefix, found.shown, found.stays) == ("Llama", "Built with Llama", True)
