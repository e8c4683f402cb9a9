"""A tiny model with an adapter, and rows for it."""

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from builder.bases import families
from builder.data.dataset import Example
from builder.data.template import IGNORED
from builder.manifest.training import Training
from builder.training.settings import resolve


def make_model(hidden_size=32, rank=4):
    """A Llama of two layers with an adapter that is not zero."""
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=hidden_size,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    model = get_peft_model(
        LlamaForCausalLM(config),
        LoraConfig(r=rank, target_modules=["q_proj", "down_proj"], init_lora_weights=False),
    )
    return model.train()


def make_example(first, length):
    """An example whose first two tokens are its prompt."""
    ids = [(first + at) % 64 for at in range(length)]
    asked = [{"role": "user", "content": f"row of {length}"}]
    return Example(asked, ids, [IGNORED, IGNORED, *ids[2:]])


def make_examples():
    """Twenty-one examples of many lengths."""
    return [make_example(7 * at, 4 + (5 * at) % 37) for at in range(21)]


def make_settings(**changes):
    """Numbers by which a few steps change the weights."""
    values = {
        "batch_size": 4,
        "learning_rate": 1e-2,
        "learning_rate_ratio": 8.0,
        "warmup_steps": 3,
        "weight_decay": 0.01,
    }
    return resolve(Training(**{**values, **changes}), families.recognise({}, ""))
