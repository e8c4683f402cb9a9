"""A forward pass without waits: the same numbers, and nothing read from a tensor on the way."""

import sys

import pytest
import torch
import transformers
from torch.utils._python_dispatch import TorchDispatchMode

from builder.training import capturable
from builder.training.decoder import find_decoder
from tests.bases.architectures import ARCHITECTURES, SMALL

# Longer than the windows of `ARCHITECTURES`.
TOKENS = 24
READS = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.is_nonzero.default)
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0] * 8,
    "long_factor": [4.0] * 8,
    "original_max_position_embeddings": 64,
    "factor": 8.0,
}


class Reads(TorchDispatchMode):
    """Counts what is read from a tensor, which would wait for a GPU."""

    count = 0

    def __torch_dispatch__(self, function, _types, args=(), kwargs=None):
        """Count, and call the function."""
        self.count += function in READS
        return function(*args, **(kwargs or {}))


class Wrapped:
    """Stands where a PEFT model does."""

    def __init__(self, model):
        self.model = model

    def get_base_model(self):
        """Give the model of transformers."""
        return self.model


def make_model(name, **changes):
    """Make a model of an architecture with random weights."""
    torch.manual_seed(0)
    architecture, values = ARCHITECTURES[name]
    if "text_config" in values:
        values = {**values, "text_config": {**values["text_config"], **changes}}
    kind = getattr(transformers, architecture)
    return kind._from_config(
        kind.config_class(**{**values, **changes}), attn_implementation="sdpa"
    ).eval()


def decode(model, tokens=TOKENS):
    """Give the hidden states of a text, and how often a tensor was read."""
    ids = torch.arange(tokens)[None] + 3
    with torch.no_grad(), Reads() as reads:
        states = find_decoder(model)(input_ids=ids, use_cache=False)[0]
    return states, reads.count


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_forward_pass_is_the_same_without_waits(name, attention):
    """Each family's masks, those of sliding windows included, are what its own code makes."""
    model = make_model(name)
    model.set_attn_implementation(attention)
    expected, _ = decode(model)

    with capturable.avoiding_waits(Wrapped(model), TOKENS):
        states, reads = decode(model)

    assert torch.equal(states, expected)
    assert reads == 0
    assert torch.equal(decode(model)[0], expected)


@pytest.mark.parametrize(("longest", "reads"), [(64, 0), (65, 1)])
def test_positions_are_read_only_where_a_row_may_need_long_factors(longest, reads):
    """Phi-4-mini's own LongRoPE; its factors depend on the highest position."""
    model = make_model("phi3", rope_parameters=LONGROPE, original_max_position_embeddings=64)
    expected, read = decode(model)
    assert read

    with capturable.avoiding_waits(Wrapped(model), longest):
        states, found = decode(model)

    assert torch.equal(states, expected)
    assert bool(found) == bool(reads)
    assert find_decoder(model).rotary_emb.rope_type == "longrope"


def test_a_forward_that_was_wrapped_is_found():
    """Unsloth wraps that of Gemma 4 without saying what it wraps."""
    model = make_model("gemma4")
    kind = type(find_decoder(model))
    own = kind.forward
    expected, _ = decode(model)
    made = []

    def wrapped(self, *args, **kwargs):
        made.append(vars(sys.modules[kind.__module__])["create_causal_mask"])
        return own(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "forward", wrapped)
        with capturable.avoiding_waits(Wrapped(model), TOKENS):
            assert torch.equal(decode(model)[0], expected)

    assert made == [capturable.MASKS["create_causal_mask"]]


def test_small_has_room():
    """A window that held every token would show nothing."""
    assert SMALL["max_position_embeddings"] > TOKENS > ARCHITECTURES["gemma3"][1]["sliding_window"]
