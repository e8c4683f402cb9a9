"""K-quants of the GPU's kernels, which Triton's interpreter runs here, are those of llama.cpp."""

import importlib

import gguf
import numpy as np
import pytest
import torch

from builder.gguf import k_quants, kernels, quantiser

KINDS = list(k_quants.KINDS)


@pytest.fixture
def interpreted(monkeypatch):
    """Let Triton's interpreter run the kernels, all groups in one program."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr(k_quants, "kernels", importlib.reload(kernels))
    monkeypatch.setattr(k_quants, "LANES", 1 << 14)
    yield
    monkeypatch.undo()
    importlib.reload(kernels)


def make_blocks():
    """Blocks of 256 values: as in a model, and what is special in one way or another."""
    random = np.random.default_rng(0)
    normal = random.standard_normal((512, 256)) * 0.02
    mixed = random.standard_normal((16, 256))
    mixed[:, :64] *= 1e-4  # small groups beside large ones, whose scales are rounded to zero
    positive, negative = np.abs(mixed) + 0.5, -np.abs(mixed) - 2
    grid = random.integers(-8, 8, (64, 256)) * 0.01  # as after another quantisation
    flat = np.zeros((4, 256))
    flat[1], flat[2], flat[3, ::7] = 0.5, -0.25, 6e-8
    outlier = normal[:16].copy()
    outlier[:, 100] = 60_000
    parts = [normal, mixed, positive, negative, grid, flat, outlier]
    # All the sizes that float16 has, and the smallest ones.
    bits = random.integers(0, 0x7BFF, (64, 256)).astype(np.uint16)
    signs = random.integers(0, 2, (64, 256)).astype(np.uint16) << 15
    tiny = random.integers(0, 40, (16, 256)).astype(np.uint16)
    halves = [part.astype(np.float16) for part in parts]
    return np.concatenate(
        [*halves, *(part.view(np.float16) for part in (bits, bits | signs, tiny))]
    )


@pytest.mark.usefixtures("interpreted")
@pytest.mark.filterwarnings("ignore:(divide by zero|invalid value|overflow):RuntimeWarning")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_block_has_the_bytes_of_llama_cpp(kind):
    """Sums in another order, or fused or rounded otherwise, choose other scales now and then."""
    blocks = make_blocks()
    expected = quantiser.make_rows(blocks, kind)
    quantiser.quantise_rows(blocks, kind, expected)

    made = k_quants.quantise(torch.from_numpy(blocks), kind)

    np.testing.assert_array_equal(made.numpy(), expected)


def test_each_kind_is_one_that_q4_k_m_to_q6_k_use():
    """The others are quantised in little time by llama.cpp."""
    assert {kind.name for kind in KINDS} == {"Q4_K", "Q5_K", "Q6_K"}
    assert all(gguf.GGML_QUANT_SIZES[kind][0] == k_quants.BLOCK for kind in KINDS)
