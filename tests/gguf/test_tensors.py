"""The tensors of a GGUF, read without its vocabulary."""

import gguf
import numpy as np
import pytest

from builder.gguf.tensors import read_tensors
from tests.bases.checkpoints import make_tiny_base
from tests.gguf.test_families import export_as


def assert_as_gguf_reads_them(file):
    """Compare each tensor with what gguf's own reader gives."""
    expected = {tensor.name: tensor for tensor in gguf.GGUFReader(file).tensors}
    read = read_tensors(file)

    assert list(read) == list(expected)
    for name, tensor in expected.items():
        assert read[name].tensor_type == tensor.tensor_type
        assert read[name].data_offset == tensor.data_offset
        assert np.array_equal(read[name].data, tensor.data)


@pytest.mark.parametrize("quantisation", ["f16", "q4_k_m"])
def test_tensors_are_those_that_gguf_reads(quantisation, tmp_path):
    """Names, types and values of a file with a whole vocabulary."""
    (tmp_path / "base").mkdir()
    make_tiny_base(tmp_path / "base")
    export_as(tmp_path / "base", None, tmp_path / "model.gguf", quantisation)

    assert_as_gguf_reads_them(tmp_path / "model.gguf")


@pytest.mark.parametrize(
    "items",
    [[""], ["a", "größer"], [1, -2, 3], [0.5], [True, False, True], [["a"], ["b", "c"]]],
    ids=str,
)
def test_every_kind_of_list_is_stepped_over(items, tmp_path):
    """The tensors are found behind strings, numbers, booleans and lists, at any alignment."""
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_array("list", items)
    writer.add_custom_alignment(64)
    writer.add_tensor("weight", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    assert_as_gguf_reads_them(tmp_path / "model.gguf")
