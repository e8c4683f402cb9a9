"""The export: every quantisation, and what stands in a message where it cannot be made."""

import errno
import hashlib
import json
import shutil
import threading
import weakref
from dataclasses import replace

import gguf
import llama_cpp
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from builder import progress
from builder.errors import GateError, ToolError
from builder.gguf import convert, layer_shares, merge, quantiser, writer
from builder.gguf.merge import Change, name_layer
from builder.gguf.quantisation import BY_NAME, QUANTISATIONS
from builder.llama import Model
from builder.manifest.manifest import Export
from tests.bases.checkpoints import make_tiny_base
from tests.gguf.test_families import IDS, add_adapter, export_as, make_base


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A tiny llama, whose widths are what k-quants want."""
    folder = tmp_path_factory.mktemp("tiny")
    make_tiny_base(folder)
    return folder


@pytest.fixture(scope="module")
def padded(tmp_path_factory):
    """Write a base with tensors that a GGUF aligns."""
    folder = tmp_path_factory.mktemp("padded")
    make_base("granite 4 hybrid", folder)
    return folder


@pytest.fixture(scope="module")
def adapted(tmp_path_factory):
    """Write a base of two layers, and an adapter of it."""
    base, adapter = (tmp_path_factory.mktemp("adapted") / name for name in ("base", "adapter"))
    base.mkdir()
    add_adapter(make_base("qwen3", base), adapter)
    return base, adapter


@pytest.mark.parametrize("quantisation", QUANTISATIONS, ids=lambda quantisation: quantisation.name)
def test_every_quantisation_is_written_as_what_it_is(tiny, tmp_path, quantisation):
    """Its file says its type, loads, is as large as its bits, and nothing else is left behind."""
    out = tmp_path / "model.gguf"

    export_as(tiny, None, out, quantisation.name)

    model = Model(out)
    named = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{quantisation.name.upper()}")
    assert model.facts["general.file_type"] == str(quantisation.file_type) == str(named)
    assert model.next_log_probs(IDS).shape == (len(IDS), 49152)
    weights = sum(weight.numel() for weight in load_file(tiny / "model.safetensors").values())
    # Most of this base is its embedding, which the k-quants write in 6 or 8 bits.
    assert quantisation.bits_per_weight * 0.9 < out.stat().st_size * 8 / weights < 17.5
    assert [path.name for path in tmp_path.iterdir()] == ["model.gguf"]


def test_the_manifest_takes_every_quantisation():
    """What a persona may name is what the table has, and nothing else."""
    for quantisation in QUANTISATIONS:
        assert Export(quantisation=quantisation.name).quantisation == quantisation.name
    with pytest.raises(ValidationError, match=f"'{QUANTISATIONS[-1].name}'"):
        Export(quantisation="q1")
    assert len(BY_NAME) == len(QUANTISATIONS)
    assert Export().quantisation == "q4_k_m"


def test_a_finer_quantisation_is_allowed_no_more():
    """The limits fall with the bits, and none is zero."""
    shares = [quantisation.kl_share for quantisation in QUANTISATIONS]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 1
    assert shares[-1] > 0


@pytest.mark.parametrize(
    ("config", "files", "reason"),
    [
        ({"architectures": ["NobodysForCausalLM"]}, {}, "NotImplementedError"),
        ({"architectures": ["Gemma3ForCausalLM"]}, {}, "KeyError"),
        ({}, {"tokenizer.json": "{}"}, "Error"),
    ],
)
def test_a_base_that_the_converter_does_not_take_is_named(tiny, tmp_path, config, files, reason):
    """Whatever the converter raises is one sentence with the base and its architecture."""
    folder, work = tmp_path / "owner--base", tmp_path / "work"
    shutil.copytree(tiny, folder)
    work.mkdir()
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **config}))
    for name, content in files.items():
        (folder / name).write_text(content)

    with pytest.raises(ToolError) as refused:
        export_as(folder, None, work / "model.gguf")

    architecture = config.get("architectures", ["LlamaForCausalLM"])[0]
    (problem,) = refused.value.problems
    assert problem.startswith(f"{folder}: ")
    assert architecture in problem
    assert reason in problem


def test_a_full_disk_is_named(tiny, tmp_path, monkeypatch):
    """Whichever step finds no room, the message names the folder."""
    from conversion.base import ModelBase

    def fill(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ModelBase, "prepare_tensors", fill)
    with pytest.raises(ToolError, match=rf"{tmp_path}: the disk became full"):
        export_as(tiny, None, tmp_path / "model.gguf")


@pytest.mark.parametrize("scale", [0.0, 2.0])
@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("smollm3", "layers.0.self_attn.q_proj"),
        ("granite 4", "layers.1.shared_mlp.input_linear"),
        ("qwen3.5", "layers.0.linear_attn.in_proj_qkv"),
        ("gemma3 with vision", "layers.1.self_attn.k_proj"),
    ],
)
def test_a_layer_that_is_not_as_trained_is_found(name, layer, scale, tmp_path, monkeypatch):
    """Left out or added twice, where the converter interleaves, splits, reorders or renames."""
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    base.mkdir()
    add_adapter(make_base(name, base), adapter)
    add = merge.add
    true = merge.read_changes(adapter)[layer]

    def add_otherwise(weight, change, where, dtype):
        is_it = name_layer(where.split(": ")[1]) == layer
        change = Change(true.b, true.a, true.scale * scale) if is_it else change
        return add(weight, change, where, dtype)

    monkeypatch.setattr(merge, "add", add_otherwise)
    with pytest.raises(GateError) as refused:
        export_as(base, adapter, tmp_path / "model.gguf")

    assert f"{layer}: {scale:.2f} of what was trained" in str(refused.value)
    assert len(refused.value.problems) == 2


@pytest.mark.parametrize("quantisation", ["f16", "q4_k_m"])
def test_the_hash_is_that_of_the_file(padded, tmp_path, quantisation):
    """It was computed while the file was written, padding and all, and is not checked again."""
    out = tmp_path / "model.gguf"
    exported = export_as(padded, None, out, quantisation)

    assert exported.sha256 == hashlib.sha256(out.read_bytes()).hexdigest()
    assert any(tensor.n_bytes % writer.ALIGNMENT for tensor in gguf.GGUFReader(out).tensors)


def test_tensors_that_were_written_are_not_kept(adapted, tmp_path, monkeypatch):
    """A base larger than the memory can be exported."""
    alive = weakref.WeakValueDictionary()
    most = []
    true = convert.Converter.convert

    def convert_and_count(converter, name):
        values = true(converter, name)
        alive[name] = values
        most.append(len(alive))
        return values

    few = replace(writer._choose_quantiser(), ahead=2)
    monkeypatch.setattr(writer, "_choose_quantiser", lambda: few)
    monkeypatch.setattr(convert.Converter, "convert", convert_and_count)
    export_as(*adapted, tmp_path / "model.gguf", "q4_k_m")

    assert len(most) > 20
    assert max(most) < 6


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (convert.Converter, "convert"),
        (quantiser, "start"),
        (layer_shares.Measurement, "sample"),
        (layer_shares, "safe_open"),
        (Change, "compute"),
        (progress, "report"),
    ],
)
def test_an_export_that_fails_ends(adapted, tmp_path, monkeypatch, owner, name):
    """Tensors are converted and quantised, and layers measured, in threads: none goes on."""
    true, called = getattr(owner, name), []

    def refuse(*given, **named):
        called.append(1)
        if len(called) > 3:
            raise ToolError("refused")
        return true(*given, **named)

    before = threading.active_count()
    monkeypatch.setattr(owner, name, refuse)
    with pytest.raises(ToolError, match="refused"):
        export_as(*adapted, tmp_path / "model.gguf")

    assert threading.active_count() <= before


def test_what_is_not_in_the_file_is_said(tmp_path):
    """The vision tower and its projector are left out; a text model leaves out nothing."""
    (tmp_path / "base").mkdir()
    make_base("gemma3 with vision", tmp_path / "base")

    exported = export_as(tmp_path / "base", None, tmp_path / "model.gguf")

    assert exported.left_out == ("multi_modal_projector", "vision_tower")


def test_an_adapter_of_another_size_is_refused(tiny, tmp_path):
    """One of the same layers in other shapes is an error with the layer's name."""
    (tmp_path / "other").mkdir()
    add_adapter(make_base("qwen3", tmp_path / "other"), tmp_path / "adapter")

    with pytest.raises(ToolError, match=r"has shape .* expected .* as in the adapter"):
        export_as(tiny, tmp_path / "adapter", tmp_path / "model.gguf")


def test_an_adapter_of_other_layers_is_refused(tiny, tmp_path):
    """One of a layer that the base lacks is not merged in part."""
    layer = "base_model.model.model.layers.7.mlp.up_proj"
    matrices = {"A": torch.zeros(4, 256), "B": torch.zeros(512, 4)}
    save_file(
        {f"{layer}.lora_{name}.weight": matrix for name, matrix in matrices.items()},
        tmp_path / "adapter_model.safetensors",
    )
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 4, "lora_alpha": 4}))
    (tmp_path / "out").mkdir()

    with pytest.raises(ToolError, match="1 of 1 adapted layers are not in the base"):
        export_as(tiny, tmp_path, tmp_path / "out" / "model.gguf")


@pytest.mark.parametrize(
    "wrapped",
    [
        "model.layers.3.mlp.up_proj.weight",
        "language_model.model.layers.3.mlp.up_proj.weight",
        "model.language_model.layers.3.mlp.up_proj.weight",
    ],
)
def test_a_layer_has_one_name_however_it_is_wrapped(wrapped):
    """The hub's names, those of the loaded model and the converter's meet; a tower's stay apart."""
    assert name_layer(wrapped) == "layers.3.mlp.up_proj"
    assert name_layer(
        "vision_tower.vision_model.encoder.layers.3.mlp.up_proj.weight"
    ) != name_layer(wrapped)
