"""A file is written in one pass, and is what llama.cpp's own programs write in two."""

import re
import shutil

import gguf
import llama_cpp
import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from builder.errors import ToolError
from builder.gguf import narrowing, quantiser
from builder.gguf.quantisation import BY_NAME, QUANTISATIONS
from tests.bases.architectures import ARCHITECTURES
from tests.gguf.test_families import add_adapter, export_as, make_base


def quantize_with_llama_cpp(source, out, quantisation):
    """Let llama.cpp's quantiser read one file and write another."""
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = quantisation.file_type
    assert llama_cpp.llama_model_quantize(str(source).encode(), str(out).encode(), parameters) == 0


@pytest.mark.parametrize(
    "quantisation",
    [
        pytest.param(
            one, id=one.name, marks=[] if one.name in ("q4_k_m", "q8_0") else pytest.mark.slow
        )
        for one in QUANTISATIONS
        if not one.is_converted
    ],
)
def test_each_quantisation_is_what_llama_cpp_writes(tiny, tmp_path, quantisation):
    """Keys, order, types and values are the same, to the byte."""
    export_as(tiny, None, tmp_path / "16.gguf", "f16")
    quantize_with_llama_cpp(tmp_path / "16.gguf", tmp_path / "expected.gguf", quantisation)

    export_as(tiny, None, tmp_path / "model.gguf", quantisation.name)

    assert (tmp_path / "model.gguf").read_bytes() == (tmp_path / "expected.gguf").read_bytes()


@pytest.mark.slow
@pytest.mark.usefixtures("known_vocabulary")
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_family_is_what_llama_cpp_writes(name, tmp_path):
    """Widths that no k-quant takes, fused layers, convolutions and states included."""
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    base.mkdir()
    add_adapter(make_base(name, base), adapter)
    export_as(base, adapter, tmp_path / "16.gguf", "f16")
    quantize_with_llama_cpp(tmp_path / "16.gguf", tmp_path / "expected.gguf", BY_NAME["q4_k_m"])

    export_as(base, adapter, tmp_path / "model.gguf", "q4_k_m")

    assert (tmp_path / "model.gguf").read_bytes() == (tmp_path / "expected.gguf").read_bytes()


def test_a_tensor_that_the_quantiser_does_not_name_is_not_left_out(tiny, tmp_path, monkeypatch):
    """Another llama.cpp may log otherwise: that is an error, not a file that lacks tensors."""
    monkeypatch.setattr(
        quantiser, "LINE", re.compile(quantiser.LINE.pattern.replace("size", "x"), re.MULTILINE)
    )

    with pytest.raises(ToolError, match=r"chose types for 0 of \d+ tensors, expected all"):
        export_as(tiny, None, tmp_path / "model.gguf", "q4_k_m")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("model.norm.weight", "output_norm.weight: "),
        ("model.layers.0.mlp.up_proj.weight", "blk.0.ffn_up.weight: "),
    ],
)
def test_a_base_with_values_that_are_no_numbers_is_refused(tiny, tmp_path, name, named, value):
    """One such value is enough, in a tensor that is quantised and in one that is not."""
    base = tmp_path / "base"
    shutil.copytree(tiny, base)
    weights = load_file(base / "model.safetensors")
    weights[name].view(-1)[-1] = value
    save_file(weights, base / "model.safetensors")

    with pytest.raises(ToolError, match="contains values that are not finite numbers") as refused:
        export_as(base, None, tmp_path / "model.gguf", "q4_k_m")

    assert str(refused.value).startswith(named)


def test_values_are_rounded_to_float16_as_numpy_rounds_them():
    """To the nearest and halves to even; what is too large becomes infinite."""
    random = np.random.default_rng(0).standard_normal(4096).astype(np.float32)
    halves = np.float32(1) + np.arange(64, dtype=np.float32) * np.float32(2**-11)
    special = np.array([0, -0.0, 1e-8, 6e-8, 65504, 65520, -1e9, np.inf, np.nan], np.float32)
    values = np.concatenate([random, halves, special])
    narrowing.install()
    lazy = gguf.LazyNumpyTensor(
        meta=gguf.LazyNumpyTensor.meta_with_dtype_and_shape(np.float32, values.shape), data=values
    )

    narrowed = lazy.astype(np.float16)
    made = gguf.LazyNumpyTensor.to_eager(narrowed)

    with np.errstate(over="ignore"):
        expected = values.astype(np.float16)
    np.testing.assert_array_equal(made.view(np.uint16)[:-1], expected.view(np.uint16)[:-1])
    assert narrowed._func is narrowing._narrow
    assert np.isnan(made[-1])
