"""Checkpoints of two layers with random weights, of the architecture classes that families have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SMALL = {
    "vocab_size": 49152,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.15,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
GEMMA = {**SMALL, "head_dim": 16, "sliding_window": 8, "query_pre_attn_scalar": 16}
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaForCausalLM", SMALL),
    "mistral": ("MistralForCausalLM", SMALL),
    "mistral3": (
        "Mistral3ForConditionalGeneration",
        {
            "text_config": {**SMALL, "model_type": "ministral3", "head_dim": 16},
            "vision_config": {**VISION, "model_type": "pixtral", "head_dim": 16},
        },
    ),
    "qwen2": ("Qwen2ForCausalLM", SMALL),
    "qwen3": ("Qwen3ForCausalLM", {**SMALL, "head_dim": 32}),
    "qwen3.5": (
        "Qwen3_5ForConditionalGeneration",
        {
            "text_config": {
                **SMALL,
                "head_dim": 32,
                "full_attention_interval": 2,
                "linear_num_key_heads": 2,
                "linear_num_value_heads": 4,
                "linear_key_head_dim": 16,
                "linear_value_head_dim": 16,
                "layer_types": ["linear_attention", "full_attention"],
            },
            "vision_config": {**VISION, "depth": 1, "num_heads": 2, "out_hidden_size": 64},
        },
    ),
    "gemma3": ("Gemma3ForCausalLM", GEMMA),
    "gemma3 with vision": (
        "Gemma3ForConditionalGeneration",
        {"text_config": GEMMA, "vision_config": VISION, "mm_tokens_per_image": 4},
    ),
    "gemma4": (
        "Gemma4ForConditionalGeneration",
        {
            "text_config": {
                **SMALL,
                "head_dim": 16,
                "global_head_dim": 32,
                "sliding_window": 8,
                "hidden_size_per_layer_input": 16,
                "vocab_size_per_layer_input": 49152,
                "num_kv_shared_layers": 0,
                "layer_types": ["sliding_attention", "full_attention"],
                "final_logit_softcapping": 3.0,
            },
            "vision_config": {**VISION, "head_dim": 16},
            "audio_config": None,
        },
    ),
    "phi3": ("Phi3ForCausalLM", SMALL),
    "granite": (
        "GraniteForCausalLM",
        {
            **SMALL,
            "logits_scaling": 4.0,
            "attention_multiplier": 0.2,
            "embedding_multiplier": 3.0,
            "residual_multiplier": 0.5,
        },
    ),
    "granite 4": (
        "GraniteMoeHybridForCausalLM",
        {
            **SMALL,
            "shared_intermediate_size": 96,
            "num_local_experts": 0,
            "num_experts_per_tok": 0,
            "layer_types": ["attention", "attention"],
            "position_embedding_type": "rope",
            "logits_scaling": 4.0,
            "attention_multiplier": 0.2,
        },
    ),
    "granite 4 hybrid": (
        "GraniteMoeHybridForCausalLM",
        {
            **SMALL,
            "shared_intermediate_size": 96,
            "num_local_experts": 0,
            "num_experts_per_tok": 0,
            "layer_types": ["mamba", "attention"],
            "mamba_n_heads": 2,
            "mamba_d_head": 64,
            "mamba_d_state": 16,
            "mamba_n_groups": 1,
            "logits_scaling": 4.0,
        },
    ),
    "olmo2": ("Olmo2ForCausalLM", {**SMALL, "tie_word_embeddings": False}),
    "smollm3": ("SmolLM3ForCausalLM", {**SMALL, "num_hidden_layers": 4}),
    "lfm2": (
        "Lfm2ForCausalLM",
        {**SMALL, "layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False},
    ),
}

# A key of the text model's that config.json on the hub has, where transformers 5.17 writes other
# words for it.
HUB_KEYS = {
    "gemma4": "global_head_dim",
    "granite 4": "layer_types",
    "granite 4 hybrid": "layer_types",
}


def write_weights(name: str, folder: Path, *, device: str = "cpu", **changes: Any) -> None:
    """Write config.json and random weights in 16 bit of an architecture into a folder.

    Args:
        name: Of `ARCHITECTURES`.
        folder: Is there already.
        device: Where torch makes them; on a GPU in bfloat16, as repositories have them.
        changes: Further keys of the text model's config.json.

    """
    import torch
    import transformers

    torch.manual_seed(1)
    architecture, values = ARCHITECTURES[name]
    values = {"tie_word_embeddings": True, **values}
    if "text_config" in values:
        values = {**values, "text_config": {**values["text_config"], **changes}}
    else:
        values |= changes
    if "out_hidden_size" in values.get("vision_config", {}):
        width = values["text_config"]["hidden_size"]
        values["vision_config"] = {**values["vision_config"], "out_hidden_size": width}
    model_class = getattr(transformers, architecture)
    with torch.device(device):
        model = model_class(model_class.config_class(**values))
    for weight in model.parameters():
        if weight.dim() == 1:  # norms of ones would not show a norm that is left out
            weight.data += 0.2 * torch.randn_like(weight)
    model = model.half() if device == "cpu" else model.bfloat16()
    model.save_pretrained(folder, max_shard_size="4GB")  # as most repositories have them
    if key := HUB_KEYS.get(name):
        _write_as_on_the_hub(folder, key, values.get("text_config", values)[key])


def _write_as_on_the_hub(folder: Path, key: str, value: Any) -> None:
    """Let config.json say what the family's own repositories say."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    text = config.get("text_config", config)
    text[key] = value
    text.pop("per_layer_config", None)
    path.write_text(json.dumps(config))
