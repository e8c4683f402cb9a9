"""The merged folder, as transformers loads it, is the base with its adapter."""

import json
import shutil

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from builder.errors import ToolError
from builder.gguf import merged
from tests.bases.architectures import ARCHITECTURES
from tests.gguf.test_families import IDS, add_adapter, make_base

TEMPLATE = "{% for message in messages %}{{ message.content }}<|im_end|>{% endfor %}"
GENERATION = {"do_sample": True, "temperature": 0.2, "eos_token_id": [2], "max_new_tokens": 9}
# What rounding each adapted weight to 11 bits costs at most and on average, and all to 8 at most.
FLOAT16_NATS, FLOAT16_MEAN_NATS, BFLOAT16_NATS = 0.05, 0.002, 0.3


def write(base, adapter, out):
    return merged.write(
        base,
        adapter,
        out,
        tokenizer=base,
        chat_template=TEMPLATE,
        generation_config=GENERATION,
    )


def load(name, folder):
    """Load a folder's model in float32, as the family's own class."""
    model_class = getattr(transformers, ARCHITECTURES[name][0])
    return model_class.from_pretrained(folder, dtype=torch.float32).eval()


def read(model):
    """Give the log-probabilities after each token of a text, by the model's own forward."""
    with torch.inference_mode():
        return model(torch.tensor([IDS])).logits[0].log_softmax(-1)


def save_as(model, folder, dtype, **options):
    """Write a base's weights again, in another type or in more files."""
    (folder / "model.safetensors").unlink()
    model.to(dtype).save_pretrained(folder, **options)
    model.float()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_its_logits_are_those_of_base_and_adapter(name, tmp_path):
    """In every family the folder gives what PEFT's model gives, within 16-bit rounding."""
    base, adapter, out = tmp_path / "base", tmp_path / "adapter", tmp_path / "merged"
    base.mkdir()
    adapted = add_adapter(make_base(name, base), adapter)
    expected = read(adapted)
    with adapted.disable_adapter():
        before = read(adapted)

    assert write(base, adapter, out) == "float16"
    given = read(load(name, out))

    difference = abs(given - expected)
    assert difference.max() < FLOAT16_NATS
    assert difference.mean() < FLOAT16_MEAN_NATS
    assert abs(before - expected).mean() > 10 * FLOAT16_MEAN_NATS


@pytest.mark.parametrize("shard", ["1GB", "2MB"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_other_types_of_weights_and_shards(dtype, shard, tmp_path):
    """Weights keep their 16-bit type; 32-bit ones become bfloat16, which config and index say."""
    base, adapter, out = tmp_path / "base", tmp_path / "adapter", tmp_path / "merged"
    base.mkdir()
    save_as(make_base("llama", base), base, dtype, max_shard_size=shard)
    adapted = add_adapter(load("llama", base), adapter)
    expected = read(adapted)

    assert write(base, adapter, out) == "bfloat16"
    given = read(load("llama", out))

    assert abs(given - expected).max() < BFLOAT16_NATS
    weights = [load_file(file) for file in out.glob("*.safetensors")]
    assert (len(weights) > 1) == (shard == "2MB")
    tensors = [tensor for file in weights for tensor in file.values()]
    assert {tensor.dtype for tensor in tensors} == {torch.bfloat16}
    assert transformers.AutoConfig.from_pretrained(out).dtype == torch.bfloat16
    index = out / "model.safetensors.index.json"
    if index.exists():
        total = json.loads(index.read_text())["metadata"]["total_size"]
        assert total == sum(tensor.nbytes for tensor in tensors)


def test_what_lies_beside_the_weights_is_the_personas(tmp_path):
    """Template, stops and sampling are those given; no other form of the base comes along."""
    base, adapter, out = tmp_path / "base", tmp_path / "adapter", tmp_path / "merged"
    base.mkdir()
    add_adapter(make_base("mistral", base), adapter)
    save_file({"layers.0": torch.zeros(1)}, base / "consolidated.safetensors")
    for name in ("params.json", "tekken.json"):
        (base / name).write_text("{}")
    (base / "chat_template.json").write_text('{"chat_template": "old"}')
    (base / "generation_config.json").write_text('{"temperature": 5}')
    write(base, adapter, out)

    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    assert tokenizer.chat_template == TEMPLATE
    settings = transformers.GenerationConfig.from_pretrained(out)
    assert {name: getattr(settings, name) for name in GENERATION} == GENERATION
    settings.validate(strict=True)
    assert {file.name for file in out.iterdir()} == {
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_an_adapter_of_another_base_is_refused(tmp_path):
    """Layers that do not fit, or are not there, are an error by name."""
    base, other, adapter = tmp_path / "base", tmp_path / "other", tmp_path / "adapter"
    base.mkdir()
    other.mkdir()
    make_base("llama", base)
    add_adapter(make_base("smollm3", other), adapter)

    with pytest.raises(ToolError, match="adapted layers are not in the base"):
        write(base, adapter, tmp_path / "merged")


def test_too_little_disk_is_told_before_anything_is_written(tmp_path, monkeypatch):
    """The room that the weights need is compared with what is free."""
    base, adapter, out = tmp_path / "base", tmp_path / "adapter", tmp_path / "merged"
    base.mkdir()
    add_adapter(make_base("llama", base), adapter)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 5}))

    with pytest.raises(ToolError, match="GB free, expected"):
        write(base, adapter, out)
    assert not out.exists()
