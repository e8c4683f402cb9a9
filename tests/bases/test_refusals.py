"""Bases that are refused before their weights are fetched: the reason, and what to take instead."""

import json

import pytest

from builder.bases import admission
from builder.errors import ToolError
from tests.bases.checkpoints import CHATML, write_small_files
from tests.bases.vocabularies import read_trl

LLAMA = {"model_type": "llama", "vocab_size": 128256, "architectures": ["LlamaForCausalLM"]}
QUANTISED = {**LLAMA, "quantization_config": {"quant_method": "gptq"}}
THINKING = CHATML.replace("assistant\n{% endif", "assistant\n<think>\n{% endif")
NO_CODE = {"auto_map": {"AutoModelForCausalLM": "modeling_own.Own"}}
BY_CONFIG = [
    (QUANTISED, "has weights quantised by gptq, expected 16 bit", "16-bit repository"),
    ({**LLAMA, "quantization_config": {"quant_method": "fp8"}}, "by fp8", "16-bit repository"),
    ({**LLAMA, "quantization_config": {"quant_method": "awq"}}, "by awq", "16-bit repository"),
    ({"model_type": "gpt_oss", "num_local_experts": 32}, "is gpt-oss", "Qwen3-4B"),
    ({"model_type": "qwen3_moe", "num_experts": 128}, "is a mixture of experts", "Qwen3-4B"),
    (
        {"model_type": "gemma4", "text_config": {"num_experts": 128}},
        "is a mixture of experts",
        "Qwen3-4B",
    ),
    (
        {"model_type": "qwen3_vl", "vision_config": {}},
        "is a model for images or sound (qwen3_vl)",
        "text model",
    ),
    ({"architectures": ["BertModel"]}, "is a BertModel, which writes no text", "for chat"),
    (
        {"model_type": "own", **NO_CODE},
        "brings Python code of its own (own), which is never run",
        "Qwen3-4B",
    ),
]


@pytest.mark.parametrize(("config", "problem", "instead"), BY_CONFIG)
def test_a_base_is_refused_by_its_config(tmp_path, config, problem, instead):
    """What config.json says is enough: one sentence with the base's name, and a way out."""
    write_small_files(tmp_path, config)

    with pytest.raises(ToolError) as caught:
        admission.check("acme/base", tmp_path)

    (sentence,) = caught.value.problems
    assert sentence.startswith("acme/base: ")
    assert problem in sentence
    assert ", expected " in sentence
    assert instead in caught.value.hint


TWO_TOKENS = ("a", "<|im_end|>")
BY_TOKENIZER = [
    ({"eos": None}, LLAMA, "names no EOS token"),
    (
        {"eos": "</s>", "vocabulary": TWO_TOKENS},
        {"vocab_size": 2},
        "names the EOS token '</s>', which its vocabulary does not have",
    ),
    (
        {"vocabulary": TWO_TOKENS},
        LLAMA,
        "has a tokenizer of 2 tokens and an embedding of 128256 rows",
    ),
    (
        {"vocabulary": (*map(str, range(99)), "<|im_end|>")},
        {"vocab_size": 32},
        "has a tokenizer of 100 tokens and an embedding of 32 rows",
    ),
    # Of as many tokens as the base's own, which ends with a token that this one does not have.
    (
        {"vocabulary": (*map(str, range(99)), "<|im_end|>")},
        {"vocab_size": 128, "eos_token_id": [120, 125]},
        "has a tokenizer without the token 120, which config.json ends a text with",
    ),
    ({"jinja": THINKING}, LLAMA, "thinks before every answer"),
    ({"jinja": None}, {"model_type": "falcon"}, "has no chat template"),
]


@pytest.mark.parametrize(("files", "config", "problem"), BY_TOKENIZER)
def test_a_base_is_refused_by_its_tokenizer(tmp_path, files, config, problem):
    """A tokenizer that cannot end a reply, or is not the base's, is told with what to do."""
    write_small_files(tmp_path, config, **files)

    with pytest.raises(ToolError) as caught:
        admission.check("acme/base", tmp_path)

    (sentence,) = caught.value.problems
    assert sentence.startswith(f"acme/base: {problem}")
    assert caught.value.hint


@pytest.mark.parametrize("name", ["deepseek_r1_distill", "qwen3_thinking"])
def test_thinking_only_checkpoints_are_refused(tmp_path, name):
    """R1 distills and Qwen3-Thinking open a thought in every prompt; an Instruct base is named."""
    jinja = read_trl(name) if name.startswith("deepseek") else read_trl("qwen3_instruct_2507")
    if name == "qwen3_thinking":  # as in Qwen3-4B-Thinking-2507
        jinja = jinja.replace("{{- '<|im_start|>assistant\\n' }}", "{{- '<|x|>\\n<think>\\n' }}")
    write_small_files(tmp_path, {"model_type": "qwen3"}, jinja=jinja)

    with pytest.raises(ToolError, match="thinks before every answer") as caught:
        admission.check("acme/base", tmp_path)
    assert "Instruct" in caught.value.hint


@pytest.mark.parametrize("name", ["qwen3", "qwen3_5_think", "qwen3_5_nothink", "gemma4_v5"])
def test_thinking_that_can_be_switched_off_is_taken(tmp_path, name):
    """A base that thinks unless it is told not to is no thinking-only checkpoint."""
    admission.check("acme/base", write_small_files(tmp_path, LLAMA, jinja=read_trl(name)))


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (["config.json", "model-Q4_K_M.gguf"], "contains GGUF files"),
        (["config.json", "pytorch_model.bin"], "has its weights as pickles"),
        (["config.json"], "has no weights, expected model.safetensors, or shards"),
        (
            ["config.json", "adapter_model.safetensors"],
            "contains adapter_model.safetensors without",
        ),
        (["config.json", "model-1-of-2.safetensors"], "contains model-1-of-2.safetensors without"),
        (["model.safetensors", "model.gguf", "pytorch_model.bin"], None),
        (["model.safetensors.index.json", "model-1-of-1.safetensors"], None),
        ([], None),
    ],
)
def test_a_repository_is_refused_by_the_names_of_its_files(tmp_path, files, problem):
    """Nothing is fetched of one without safetensors; a folder is refused for the same."""
    folder = write_small_files(tmp_path, LLAMA)
    if problem is None:
        admission.check_files("acme/base", files)
        admission.check("acme/base", folder, files=files)
        return
    for check in (
        lambda: admission.check_files("acme/base", files),
        lambda: admission.check("acme/base", folder, files=files),
    ):
        with pytest.raises(ToolError, match=problem):
            check()


def test_a_missing_shard_is_named(tmp_path):
    """A folder whose index names a shard that is not there is refused with the shard's name."""
    write_small_files(tmp_path, LLAMA)
    shards = {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": shards}))

    with pytest.raises(ToolError, match="lacks model-2-of-2") as caught:
        admission.check("./mine", tmp_path, files=[index.name, shards["a"]])
    assert caught.value.hint == "fetch it again: hf download OWNER/NAME --local-dir ./mine"
    admission.check("./mine", tmp_path, files=[index.name, *shards.values()])
    admission.check("./mine", tmp_path)  # whose files are not known


def test_a_folder_without_a_config_is_refused(tmp_path):
    """What is no base at all is told as such."""
    with pytest.raises(ToolError, match=r"contains no config\.json"):
        admission.check("./mine", tmp_path)


@pytest.mark.parametrize("template", ["alpaca", "chatml"])
def test_a_template_of_the_project_needs_none_of_the_base(tmp_path, template):
    """A base without a chat template is taken where data.template names another."""
    folder = write_small_files(tmp_path, {"model_type": "falcon"}, jinja=None)

    admission.check("acme/base", folder, template)


@pytest.mark.parametrize(
    "config",
    [
        LLAMA,
        {"model_type": "phi3", "vocab_size": 200064, **NO_CODE},  # transformers has its code
        {"vocab_size": 100, "eos_token_id": [1, 106], "text_config": {"eos_token_id": 1}},
        {"model_type": "granitemoehybrid", "num_local_experts": 0},
        {"model_type": "mistral3", "text_config": {"model_type": "ministral3"}},
        {},
    ],
)
def test_what_can_be_built_on_is_taken(tmp_path, config):
    """Dense text models are taken, code that is not needed and experts that are none too."""
    admission.check("acme/base", write_small_files(tmp_path, config))


def test_the_text_tower_of_a_known_family_is_taken(tmp_path):
    """Gemma 3 from 4B on has a vision tower, and its text is trained all the same."""
    folder = write_small_files(
        tmp_path,
        {"model_type": "gemma3", "vision_config": {}},
        eos="<eos>",
        jinja=read_trl("gemma3"),
        added=("<end_of_turn>",),
    )

    admission.check("google/gemma-3-4b-it", folder)
