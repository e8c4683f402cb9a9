"""How a base's family is recognised, and what each record holds."""

import importlib.util
from pathlib import Path

import pytest

from builder.bases import families, table
from builder.bases.facts import Facts
from tests.bases.checkpoints import CHATML, write_small_files
from tests.bases.originals import BY_FAMILY, ORIGINALS
from tests.bases.vocabularies import read_trl
from tests.builds.chains import CHAINS

# By family: config.json, the tokenizer's EOS, and the chat template.
CHECKPOINTS = [
    *((one.family, one.config, one.eos, one.read_template) for one in ORIGINALS),
    ("gemma3", {"model_type": "gemma3_text"}, "<end_of_turn>", lambda: read_trl("gemma3")),
    # Of the same config.json as a family of the table, and of none.
    (
        "derived (qwen2)",
        {"model_type": "qwen2"},
        "<｜end▁of▁sentence｜>",
        lambda: read_trl("deepseek_r1_distill"),
    ),
    (
        "derived (llama)",
        {"model_type": "llama", "vocab_size": 128256},
        "<|im_end|>",
        lambda: CHATML,
    ),
    ("derived (gemma4)", {"model_type": "gemma4", "text_config": {}}, "<eos>", lambda: ""),
    ("derived (unknown)", {}, "<|im_end|>", lambda: CHATML),
]
ENDS = tuple({family.end_of_turn for family in families.FAMILIES})


def recognise(folder):
    """Recognise the family of a base in a folder, as the base stage does."""
    facts = Facts(folder)
    return families.recognise(facts.config, facts.end_of_turn)


def test_every_family_has_its_original():
    """What its makers publish is in tests/bases/originals.py, in the order of the families."""
    names = [family.name for family in families.FAMILIES]

    assert list(BY_FAMILY) == names, "expected a record of tests/bases/originals.py for each"


@pytest.mark.parametrize(("name", "config", "eos", "read"), CHECKPOINTS)
def test_a_family_is_recognised_by_its_files(tmp_path, name, config, eos, read):
    """config.json and the end-of-turn token of its own chat template decide; the path does not."""
    for folder in (tmp_path / "mine", tmp_path / "SmolLM2-135M-Instruct"):
        write_small_files(folder, config, eos=eos, jinja=read(), added=ENDS)
        assert recognise(folder).name == name


def test_the_eos_tells_where_there_is_no_template(tmp_path):
    """A base without a chat template is recognised by its tokenizer's EOS."""
    llama = {"model_type": "llama", "vocab_size": 128256}

    assert recognise(write_small_files(tmp_path, llama, eos="<|eot_id|>", jinja=None)).replacement


def test_a_derived_family_says_so():
    """It has no identity words and no facts, its name says so, and base.json brings it back."""
    derived = families.recognise({"model_type": "falcon"}, "<|endoftext|>")

    assert derived.name == "derived (falcon)"
    assert derived.is_derived
    assert derived.identity_words == derived.stop == ()
    assert families.find(derived.name) == derived


@pytest.mark.parametrize("family", families.FAMILIES, ids=lambda family: family.name)
def test_a_record_is_whole(family):
    """Each record says what a person asks of a base, and is found by its name."""
    assert families.find(family.name) is family
    assert family.identity_words
    assert family.licence
    assert family.repositories
    assert family.parameters.keys() <= {*families.COMMON_PARAMETERS, "presence_penalty"}
    assert not (family.replacement and family.removed)


def test_the_four_bit_repositories_are_those_that_unsloth_trains_on():
    """Each record names the sibling of Unsloth's own table, or none where that has none."""
    (found,) = importlib.util.find_spec("unsloth").submodule_search_locations
    path = Path(found) / "models" / "mapper.py"
    spec = importlib.util.spec_from_file_location("mapper", path)
    mapper = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mapper)

    for family in families.FAMILIES:
        for repository in family.repositories:
            mapped = mapper.FLOAT_TO_INT_MAPPER.get(repository.name.lower())
            assert repository.four_bit == mapped


def test_the_memory_to_train_is_near_what_was_measured():
    """Within a fifth of 5.7 GiB for 4B in 4 bit, and of 10 GB for 4B in 16 bit."""
    (qwen,) = families.find("qwen3-2507").repositories
    sizes = {repository.name: repository for repository in families.find("qwen3.5").repositories}

    assert qwen.memory_bytes(four_bit=True) == pytest.approx(5.7 * 2**30, rel=0.2)
    assert sizes["Qwen/Qwen3.5-4B"].memory_bytes(four_bit=False) == pytest.approx(10e9, rel=0.2)


def test_the_end_of_a_turn_is_told_from_the_end_of_a_conversation(tmp_path):
    """gpt-oss ends the last reply with another token than those before it: that one is the EOS."""
    jinja, ends = read_trl("gptoss"), ("<|end|>", "<|return|>")
    folder = write_small_files(tmp_path, {}, eos="<|return|>", jinja=jinja, added=ends)

    assert Facts(folder).end_of_turn == "<|end|>"


def test_every_family_has_a_chain():
    """Adding a family is one record, its original, and one line in `CHAINS`."""
    names = [family.name for family in families.FAMILIES]
    record = "PERSONA_RECORD=1 just test-slow tests/builds/test_families.py -k NAME writes them"

    assert [chain.family for chain in CHAINS] == names
    assert set(table.read_checked()) == set(names), f"checked.json: {record}"
