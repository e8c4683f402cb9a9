"""What training takes of the memory: told of a known base; one that cannot fit is refused."""

import pytest

from builder.bases import memory, sizes
from builder.bases.base import Base
from builder.errors import ToolError
from builder.machine import Machine

CPU, GPU = Machine("cpu", "", has_bf16=False), Machine("gpu", "", has_bf16=True)
QWEN = "Qwen/Qwen3-14B"


def make_base(source, kind="hub", *, four_bit=True):
    """A base of which nothing is fetched."""
    return Base(source, kind, "0", source, "0", four_bit)


def test_a_cpu_in_32_bit_takes_eight_times_what_a_gpu_in_4_bit_does():
    """Weights of 4 bytes, of 2 where bfloat16 is computed, and of half a byte on a GPU."""
    wide = memory.estimate(make_base(QWEN), CPU, None).weights
    half = memory.estimate(make_base(QWEN), Machine("cpu", "", has_bf16=True), None).weights
    quantised = memory.estimate(make_base(QWEN), GPU, None).weights

    assert wide == 2 * half == 4 * 14_800_000_000
    assert 0.5 * 14_800_000_000 < quantised < half / 2
    assert memory.estimate(make_base(QWEN, four_bit=False), GPU, None).weights == half


def test_a_base_that_is_not_in_the_table_is_measured_by_its_config():
    """Its matrices are counted; without sizes nothing is said."""
    found = sizes.read(
        {
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "vocab_size": 1000,
        }
    )
    base = make_base("acme/base")

    assert memory.estimate(base, CPU, found).weights == 4 * found.weights
    in_four_bit = memory.estimate(base, GPU, found).weights
    assert 2 * found.embedding_weights < in_four_bit < 2 * found.weights
    assert memory.estimate(base, CPU, None) is None


def test_a_base_that_cannot_fit_is_refused():
    """Weights above the memory are refused with a smaller base; a near one is only warned of."""
    need = memory.estimate(make_base(QWEN), CPU, None)

    with pytest.raises(ToolError, match=r"expected at most the 16\.0 GB that are here") as caught:
        memory.check(QWEN, need, 16_000_000_000)
    assert caught.value.problems[0].startswith(f"{QWEN}: training needs about 66.6 GB of memory")
    assert "Qwen/Qwen3-0.6B" in caught.value.hint
    assert "more than" in memory.check(QWEN, need, 60_000_000_000)
    assert memory.check(QWEN, need, 80_000_000_000) is None
