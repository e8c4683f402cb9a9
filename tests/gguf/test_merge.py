"""An adapter is read as PEFT writes it, or refused in a sentence."""

import json

import pytest
import torch
from safetensors.torch import save_file

from builder.errors import ToolError
from builder.gguf.merge import read_changes

LAYER = "base_model.model.model.layers.0.mlp.up_proj"


@pytest.fixture
def adapter(tmp_path):
    """An adapter of one layer."""
    weights = {
        f"{LAYER}.lora_A.weight": torch.ones(2, 3),
        f"{LAYER}.lora_B.weight": torch.ones(4, 2),
    }
    save_file(weights, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 2, "lora_alpha": 8}), "utf-8")
    return tmp_path


def test_the_change_is_scaled_by_alpha_over_rank(adapter):
    """B @ A is 2 everywhere, and the scale 4."""
    (change,) = read_changes(adapter).values()

    assert change.compute().tolist() == [[8.0] * 3] * 4


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("adapter_model.safetensors", b""),
        ("adapter_model.safetensors", b"\x10\0\0\0\0\0\0\0{"),
        ("adapter_config.json", b"{"),
        ("adapter_config.json", b"[]"),
        ("adapter_config.json", b'{"r": 0, "lora_alpha": 8}'),
        ("adapter_config.json", b'{"r": 2}'),
        ("adapter_config.json", b"\xff"),
    ],
)
def test_a_damaged_adapter_is_refused(adapter, name, content):
    """An archive may hold it, with a hash that agrees."""
    (adapter / name).write_bytes(content)

    with pytest.raises(ToolError, match=r"cannot be read \(.+\), expected an adapter") as refused:
        read_changes(adapter)

    assert "--discard" in str(refused.value.hint)


def test_half_a_layer_is_refused(adapter):
    """Each A has its B."""
    weights = {f"{LAYER}.lora_A.weight": torch.ones(2, 3)}
    save_file(weights, adapter / "adapter_model.safetensors")

    with pytest.raises(ToolError, match="lora_B"):
        read_changes(adapter)
