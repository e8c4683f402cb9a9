"""A GPU quantises tensors only as llama.cpp does; in each other case llama.cpp does it itself."""

import importlib
import sys
from concurrent.futures import ThreadPoolExecutor

import gguf
import numpy as np
import pytest
import torch

from builder import machine, workers
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


def start_all(quantise, tensors):
    """Start to quantise some tensors before the first is waited for, as the writer does."""
    with ThreadPoolExecutor(2) as threads:
        waiting = [quantise(values, Q4, "blk.0.ffn_up.weight", threads) for values in tensors]
        return [wait() for wait in waiting]


@pytest.mark.parametrize("row", [0, -1])
def test_bytes_that_are_not_those_of_llama_cpp_are_not_used(fake, rows, row, caplog):
    """llama.cpp may have been compiled to round otherwise; it is tried once."""
    fake.flips_row = row

    made = start_all(GpuQuantiser("cpu").start, [rows] * 9)

    np.testing.assert_array_equal(made, start_all(quantiser.start, [rows] * 9))
    assert fake.calls <= gpu_quantiser.AT_ONCE
    assert caplog.messages == [
        "export: the GPU does not quantise (its Q4_K differs from llama.cpp's); the CPU does"
    ]


def test_each_chunk_is_compared(fake, rows, monkeypatch, caplog):
    """A copy may fail in the middle of a tensor."""
    monkeypatch.setattr(gpu_quantiser, "CHUNK_VALUES", 128 * 256)
    right = fake.quantise

    def fail_later(values, kind):
        fake.flips_row = 0 if fake.calls == 1 else None
        return right(values, kind)

    monkeypatch.setattr(k_quants, "quantise", fail_later)

    made = run(GpuQuantiser("cpu").start, rows)

    np.testing.assert_array_equal(made, run(quantiser.start, rows))
    assert len(caplog.messages) == 1


def test_a_gpu_that_fails_is_not_tried_again(fake, rows, capsys, caplog):
    """It may have no memory left, or Triton no compiler. A person is told once."""
    fake.error = RuntimeError("Failed to find C compiler\nand more")
    on_gpu = GpuQuantiser("cpu")

    made = start_all(on_gpu.start, [rows] * 9)

    calls = fake.calls
    assert calls <= gpu_quantiser.AT_ONCE
    np.testing.assert_array_equal(made, start_all(quantiser.start, [rows] * 9))
    assert "Failed to find C compiler" in capsys.readouterr().err
    assert len(caplog.messages) == 1
    run(on_gpu.start, rows)
    assert fake.calls == calls


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.usefixtures("fake")
def test_non_finite_values_are_refused(rows, value):
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


def test_the_file_is_the_same_with_and_without_a_gpu(fake, tiny, tmp_path, monkeypatch):
    """More tensors are converted at a time, and their order stays."""
    export_as(tiny, None, tmp_path / "expected.gguf", "q4_k_m")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gpu_quantiser, "GpuQuantiser", lambda: GpuQuantiser("cpu"))

    export_as(tiny, None, tmp_path / "model.gguf", "q4_k_m")

    assert fake.calls
    assert writer._choose_quantiser().converted_at_once > 2
    assert (tmp_path / "model.gguf").read_bytes() == (tmp_path / "expected.gguf").read_bytes()


def test_a_triton_that_cannot_be_imported_is_not_needed(monkeypatch, capsys):
    """Its compiled part may not fit the system's libraries."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "builder.gguf.gpu_quantiser", None)

    assert writer._choose_quantiser().start is quantiser.start
    assert "gpu_quantiser" in capsys.readouterr().err


def test_the_worker_selects_the_gpu_that_training_uses(monkeypatch):
    """Of several GPUs CUDA would take the fastest, and one that torch cannot use."""
    selected = []
    monkeypatch.setattr(machine, "select_gpu", lambda: selected.append(1))
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", "1")  # else the module sets it for all tests
    monkeypatch.delitem(sys.modules, workers.EXPORT, raising=False)

    importlib.import_module(workers.EXPORT)

    assert selected
