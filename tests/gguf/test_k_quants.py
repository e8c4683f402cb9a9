"""K-quants of the GPU's kernels, which Triton's interpreter runs here, are those of llama.cpp."""

import importlib
import re

import numpy as np
import pytest
import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from builder.gguf import k_quants, kernels, quantiser

# Q5_K runs the same kernel as Q4_K, with other constants.
KINDS = [
    pytest.param(kind, id=kind.name, marks=[pytest.mark.slow] if kind.name == "Q5_K" else [])
    for kind in k_quants.KINDS
]


@pytest.fixture
def interpreted(monkeypatch):
    """Let Triton's interpreter run the kernels, in few programs: each takes a second."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr(k_quants, "kernels", importlib.reload(kernels))
    monkeypatch.setattr(k_quants, "LANES", 1 << 11)  # some programs, the last not full
    yield
    monkeypatch.undo()
    importlib.reload(kernels)


def make_blocks():
    """Blocks of 256 values: as in a model, and what is special in one way or another."""
    random = np.random.default_rng(0)
    normal = random.standard_normal((64, 256)) * 0.02
    mixed = random.standard_normal((16, 256))
    mixed[:, :64] *= 1e-4  # small groups beside large ones, whose scales are rounded to zero
    positive, negative = np.abs(mixed) + 0.5, -np.abs(mixed) - 2
    grid = random.integers(-8, 8, (64, 256)) * 0.01  # as after another quantisation
    flat = np.zeros((4, 256))
    flat[1], flat[2], flat[3, ::7] = 0.5, -0.25, 6e-8
    outlier = normal[:16].copy()
    outlier[:, 100] = 60_000
    opposite = normal[:16].copy()  # two groups of q6_K whose scales differ by their sign alone
    opposite[:, :16] *= 4
    opposite[:, 32:48] = -opposite[:, :16]
    parts = [normal, mixed, positive, negative, grid, flat, outlier, opposite]
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
@pytest.mark.parametrize("kind", KINDS)
def test_each_block_has_the_bytes_of_llama_cpp(kind):
    """Sums in another order, or fused or rounded otherwise, choose other scales now and then."""
    blocks = make_blocks()
    expected = quantiser.make_rows(blocks, kind)
    quantiser.quantise_rows(blocks, kind, expected)

    made = k_quants.quantise(torch.from_numpy(blocks), kind)

    np.testing.assert_array_equal(made.numpy(), expected)


POINTERS = {"values": "*fp16", "codes": "*u8", "scales": "*fp32", "count": "i32"}
AFFINE = {"GROUP": 32, "LARGEST": 15, "START": -1.0, "STEP": 0.1, "STEPS": 20, "LANES": 128}
SYMMETRIC = {"GROUP": 16, "HALF": 32, "SMALLEST": 1e-15, "LANES": 128}


@pytest.mark.parametrize(
    ("kernel", "pointers", "constants"),
    [
        (kernels.search_scale_and_minimum, POINTERS | {"minima": "*fp32"}, AFFINE),
        (kernels.search_scale, POINTERS, SYMMETRIC),
    ],
    ids=["scale and minimum", "scale"],
)
def test_a_gpu_rounds_each_operation_once(kernel, pointers, constants):
    """The interpreter cannot tell: the code for a T4 has no fused or approximate operation."""
    signature = {name: pointers.get(name, "constexpr") for name in kernel.arg_names}
    source = ASTSource(kernel, signature, constexprs=constants)

    compiled = triton.compile(source, target=GPUTarget("cuda", 75, 32), options=k_quants.OPTIONS)

    ptx = compiled.asm["ptx"]
    assert "div.rn.f32" in ptx
    assert not re.search(r"fma\.|\.ftz|\.approx|div\.full", ptx)
