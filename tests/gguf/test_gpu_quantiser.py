"""A GPU quantises tensors only as llama.cpp does; in each other case llama.cpp does it itself."""

from concurrent.futures import ThreadPoolExecutor

import gguf
import numpy as np
import pytest
import torch

from builder.errors import ToolError
from builder.gguf import gpu_quantiser, k_quants, quantiser, writer
from builder.gguf.gpu_quantiser import GpuQuantiser
from tests.gguf.test_families import export_as

Q4 = gguf.GGMLQuantizationType.Q4_K


class FakeKernels:
    """Quantises as the kernels do, on the CPU, and counts its calls."""

    def __init__(self):
        self.calls = 0
        self.error = None
        self.flips_row = None

    def quantise(self, rows, kind):
        """Quantise rows, fail, or change a byte of a row."""
        self.calls += 1
        if self.error:
            raise self.error
        out = quantiser.make_rows(rows.numpy(), kind)
        quantiser.quantise_rows(rows.numpy(), kind, out)
        if self.flips_row is not None:
            out[self.flips_row, 0] ^= 1
        return torch.from_numpy(out)


@pytest.fixture
def fake(monkeypatch):
    """Replace the kernels."""
    fake = FakeKernels()
    monkeypatch.setattr(k_quants, "quantise", fake.quantise)
    return fake


@pytest.fixture
def rows():
    """Values of a tensor, shape (R, C)."""
    return np.random.default_rng(0).standard_normal((300, 256)).astype(np.float16)


def run(quantise, values, kind=Q4):
    """Quantise a tensor as the writer does."""
    with ThreadPoolExecutor(2) as threads:
        return quantise(values, kind, "blk.0.ffn_up.weight", threads)()


def test_some_rows_at_a_time_are_quantised(fake, rows, monkeypatch):
    """A tensor may be larger than what is free on the GPU."""
    monkeypatch.setattr(gpu_quantiser, "CHUNK_VALUES", 128 * 256)

    made = run(GpuQuantiser("cpu").start, rows)

    assert fake.calls == 3
    np.testing.assert_array_equal(made, run(quantiser.start, rows))


@pytest.mark.parametrize("row", [0, -1])
def test_a_tensor_with_other_bytes_than_llama_cpp_is_quantised_by_it(fake, rows, row, capsys):
    """llama.cpp may have been compiled to round otherwise."""
    fake.flips_row = row

    made = run(GpuQuantiser("cpu").start, rows)

    np.testing.assert_array_equal(made, run(quantiser.start, rows))
    assert "other bytes than llama.cpp: Q4_K" in capsys.readouterr().out


def test_a_gpu_that_fails_is_not_tried_again(fake, rows, capsys):
    """It may have no memory left, or Triton no compiler."""
    fake.error = RuntimeError("Failed to find C compiler")
    on_gpu = GpuQuantiser("cpu")

    made = [run(on_gpu.start, rows) for _ in range(2)]

    assert fake.calls == 1
    np.testing.assert_array_equal(made, [run(quantiser.start, rows)] * 2)
    assert "Failed to find C compiler" in capsys.readouterr().err


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.usefixtures("fake")
def test_values_that_are_no_numbers_are_refused(rows, value):
    """The message is that of llama.cpp's quantiser."""
    rows[-1, -1] = value

    with pytest.raises(ToolError, match=r"blk\.0\.ffn_up\.weight: contains values"):
        run(GpuQuantiser("cpu").start, rows)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [(gguf.GGMLQuantizationType.Q8_0, np.float16), (Q4, np.float32)],
    ids=["another kind", "wider values"],
)
def test_what_the_kernels_do_not_know_is_left_to_llama_cpp(fake, rows, kind, dtype):
    """So is what a base holds in 32 bit."""
    values = rows.astype(dtype)

    made = run(GpuQuantiser("cpu").start, values, kind)

    assert fake.calls == 0
    np.testing.assert_array_equal(made, run(quantiser.start, values, kind))


def test_a_file_of_a_gpu_is_that_of_a_cpu(fake, tiny, tmp_path, monkeypatch):
    """More tensors are converted at a time, and their order stays."""
    export_as(tiny, None, tmp_path / "expected.gguf", "q4_k_m")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gpu_quantiser, "GpuQuantiser", lambda: GpuQuantiser("cpu"))

    export_as(tiny, None, tmp_path / "model.gguf", "q4_k_m")

    assert fake.calls
    assert writer._choose_quantiser().converted_at_once > 2
    assert (tmp_path / "model.gguf").read_bytes() == (tmp_path / "expected.gguf").read_bytes()
