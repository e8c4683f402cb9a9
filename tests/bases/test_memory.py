"""What training takes of the memory: told of a known base; one that cannot fit is refused."""

import pytest

from builder.bases import memory
from builder.bases.base import Base
from builder.errors import ToolError
from builder.machine import Machine

CPU, GPU = Machine("cpu", "", has_bf16=False), Machine("gpu", "", has_bf16=True)
QWEN = "Qwen/Qwen3-14B"


def make_base(source, kind="hub", *, four_bit=True):
    """A base of which nothing is fetched."""
    return Base(source, kind, "0", source, "0", four_bit)


def test_a_processor_in_32_bit_takes_eight_times_what_a_gpu_in_4_bit_does():
    """Weights of 4 bytes, of 2 where bfloat16 is computed, and of half a byte on a GPU."""
    wide = memory.estimate(make_base(QWEN), CPU).weights
    half = memory.estimate(make_base(QWEN), Machine("cpu", "", has_bf16=True)).weights
    quantised = memory.estimate(make_base(QWEN), GPU).weights

    assert wide == 2 * half == 4 * 14_800_000_000
    assert 0.5 * 14_800_000_000 < quantised < half / 2
    assert memory.estimate(make_base(QWEN, four_bit=False), GPU).weights == half


def test_a_folder_is_measured_by_its_files(tmp_path):
    """16 bits a parameter in its files become 32 on a processor; an unknown name says nothing."""
    (tmp_path / "model.safetensors").write_bytes(bytes(1000))

    assert memory.estimate(make_base(str(tmp_path), "folder"), CPU).weights == 2000
    assert memory.estimate(make_base("acme/base"), CPU) is None


def test_a_base_that_cannot_fit_is_refused():
    """Weights above the memory are refused with a smaller base; a near one is only warned of."""
    need = memory.estimate(make_base(QWEN), CPU)

    with pytest.raises(ToolError, match=r"expected at most the 16\.0 GB that are here") as caught:
        memory.check(QWEN, need, 16_000_000_000)
    assert caught.value.problems[0].startswith(f"{QWEN}: training needs about 66.6 GB of memory")
    assert "Qwen/Qwen3-0.6B" in caught.value.hint
    assert "more than" in memory.check(QWEN, need, 60_000_000_000)
    assert memory.check(QWEN, need, 80_000_000_000) is None
