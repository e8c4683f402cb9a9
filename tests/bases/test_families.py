"""How a base's family is recognised, and what each record holds."""

import importlib.util
from pathlib import Path

import pytest

from builder.bases import families
from builder.bases.facts import Facts
from tests.bases.checkpoints import CHATML, write_small_files
from tests.bases.vocabularies import read_llama_cpp, read_trl

PHI = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% else %}<|endoftext|>{% endif %}"
)
MISTRAL_7B = (
    "<s>{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }}[/INST]"
    "{% else %} {{ m.content }}</s>{% endif %}{% endfor %}"
)
OLMO2 = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}"
    "{{ eos_token if m.role == 'assistant' }}{{ '\n' if m.role != 'assistant' or not loop.last }}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
NEMO = (read_llama_cpp, "mistralai-Mistral-Nemo-Instruct-2407")
MINISTRAL = (read_llama_cpp, "mistralai-Ministral-3-14B-Reasoning-2512")
GRANITE = (read_llama_cpp, "ibm-granite-granite-4.0")
SMOLLM3 = (read_llama_cpp, "HuggingFaceTB-SmolLM3-3B")
R1 = (read_trl, "deepseek_r1_distill")
# By family: config.json as its makers write it (the keys that tell it apart), the tokenizer's EOS,
# the original chat template, and the added tokens that it ends turns with.
CHECKPOINTS = [
    (
        "qwen3-2507",
        {"model_type": "qwen3", "max_position_embeddings": 262144},
        "<|im_end|>",
        (read_trl, "qwen3_instruct_2507"),
    ),
    (
        "qwen3",
        {"model_type": "qwen3", "max_position_embeddings": 40960},
        "<|im_end|>",
        (read_trl, "qwen3"),
    ),
    ("qwen2.5", {"model_type": "qwen2", "vocab_size": 152064}, "<|im_end|>", (read_trl, "qwen2_5")),
    (
        "qwen3.5",
        {"model_type": "qwen3_5", "text_config": {"model_type": "qwen3_5_text"}},
        "<|im_end|>",
        (read_trl, "qwen3_5_think"),
    ),
    ("llama3", {"model_type": "llama", "vocab_size": 128256}, "<|eot_id|>", (read_trl, "llama3_1")),
    ("gemma3", {"model_type": "gemma3_text"}, "<eos>", (read_trl, "gemma3")),
    ("gemma3", {"model_type": "gemma3_text"}, "<end_of_turn>", (read_trl, "gemma3")),
    (
        "gemma3-image-text",
        {"model_type": "gemma3", "vision_config": {}},
        "<eos>",
        (read_trl, "gemma3"),
    ),
    (
        "gemma4",
        {"model_type": "gemma4", "text_config": {"hidden_size_per_layer_input": 256}},
        "<eos>",
        (read_trl, "gemma4_v5"),
    ),
    ("mistral-7b", {"model_type": "mistral", "vocab_size": 32768}, "</s>", MISTRAL_7B),
    ("mistral-nemo", {"model_type": "mistral", "vocab_size": 131072}, "</s>", NEMO),
    (
        "ministral3",
        {"model_type": "mistral3", "text_config": {"model_type": "ministral3"}},
        "</s>",
        MINISTRAL,
    ),
    ("smollm2", {"model_type": "llama", "vocab_size": 49152}, "<|im_end|>", CHATML),
    ("smollm3", {"model_type": "smollm3"}, "<|im_end|>", SMOLLM3),
    ("granite4", {"model_type": "granitemoehybrid"}, "<|end_of_text|>", GRANITE),
    ("phi4-mini", {"model_type": "phi3", "vocab_size": 200064}, "<|endoftext|>", PHI),
    ("lfm2", {"model_type": "lfm2"}, "<|im_end|>", (read_trl, "lfm2_2_5")),
    ("olmo2", {"model_type": "olmo2"}, "<|endoftext|>", OLMO2),
    # Of the same config.json as a family of the table, and of none.
    ("derived (qwen2)", {"model_type": "qwen2"}, "<｜end▁of▁sentence｜>", R1),
    ("derived (llama)", {"model_type": "llama", "vocab_size": 128256}, "<|im_end|>", CHATML),
    ("derived (gemma4)", {"model_type": "gemma4", "text_config": {}}, "<eos>", ""),
    ("derived (unknown)", {}, "<|im_end|>", CHATML),
]
ENDS = tuple({family.end_of_turn for family in families.FAMILIES})


def recognise(folder):
    """Recognise the family of a base in a folder, as the base stage does."""
    facts = Facts(folder)
    return families.recognise(facts.config, facts.end_of_turn)


@pytest.mark.parametrize(("name", "config", "eos", "jinja"), CHECKPOINTS)
def test_a_family_is_recognised_by_its_files(tmp_path, name, config, eos, jinja):
    """config.json and the end-of-turn token of its own chat template decide; the path does not."""
    jinja = jinja if isinstance(jinja, str) else jinja[0](jinja[1])
    for folder in (tmp_path / "mine", tmp_path / "SmolLM2-135M-Instruct"):
        write_small_files(folder, config, eos=eos, jinja=jinja, added=ENDS)
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
