"""The estimate of GPU memory: from a base's files, near what was measured, in words."""

import json

import pytest

from builder.training import footprint
from builder.training.shapes import BatchShape

# config.json of Qwen/Qwen3-4B-Instruct-2507.
QWEN3_4B = {
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "num_hidden_layers": 36,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
}
SHAPE = BatchShape(rows=8, tokens=64, slots=256)


@pytest.fixture
def folder(tmp_path):
    """Write a base of that shape, its 8 GB of weights a hole in a file."""
    (tmp_path / "config.json").write_text(json.dumps(QWEN3_4B))
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(8_045_000_000)
    return tmp_path


def test_a_four_bit_4b_takes_what_was_measured(folder):
    """5.7 GiB of an H100 with eight short rows, give or take a fifth."""
    found = footprint.estimate(folder, rank=16, four_bit=True, shape=SHAPE)

    assert found.total == pytest.approx(5.7 * 2**30, rel=0.2)
    assert found.adapter == 33_030_144 * footprint.TRAINED_BYTES


def test_weights_are_taken_as_they_are_loaded(folder):
    """16-bit weights as they lie there, and so those that are quantised already."""
    assert footprint.estimate(folder, rank=16, four_bit=False, shape=SHAPE).weights == 8_045_000_000

    config = {**QWEN3_4B, "quantization_config": {"load_in_4bit": True}}
    (folder / "config.json").write_text(json.dumps(config))
    assert footprint.estimate(folder, rank=16, four_bit=True, shape=SHAPE).weights == 8_045_000_000


def test_activations_grow_with_the_batch(folder):
    """Twice the rows take twice as much, and nothing else grows."""
    one = footprint.estimate(folder, rank=16, four_bit=True, shape=SHAPE)
    two = footprint.estimate(folder, rank=16, four_bit=True, shape=BatchShape(16, 64, 512))

    assert two.activations == 2 * one.activations
    assert (two.weights, two.adapter) == (one.weights, one.adapter)


def test_logits_are_of_the_labels_alone(folder):
    """More labels take more, by the vocabulary."""
    one = footprint.estimate(folder, rank=16, four_bit=True, shape=SHAPE)
    two = footprint.estimate(folder, rank=16, four_bit=True, shape=BatchShape(8, 64, 257))

    assert two.activations - one.activations == 151936 * footprint.LOGIT_BYTES


def test_the_text_model_of_a_wrapper_is_read(folder):
    """Its sizes stand under text_config; without any there is no estimate."""
    expected = footprint.estimate(folder, rank=16, four_bit=True, shape=SHAPE)
    (folder / "config.json").write_text(json.dumps({"text_config": QWEN3_4B}))
    assert footprint.estimate(folder, rank=16, four_bit=True, shape=SHAPE) == expected

    (folder / "config.json").write_text("{}")
    assert footprint.estimate(folder, rank=16, four_bit=True, shape=SHAPE) is None


def test_it_is_said_beside_what_is_free():
    """In gigabytes, each part by its name."""
    found = footprint.Footprint(
        weights=2_600_000_000, adapter=500_000_000, activations=2_000_000_000
    )

    assert found.describe(15_000_000_000) == (
        "about 5.1 GB of GPU memory (weights 2.6 GB, adapter and optimiser 0.5 GB, "
        "activations 2.0 GB); 15.0 GB are free"
    )
