"""Bases that people give by mistake, as a folder and as a repository: one sentence each, and soon.

The repositories are on a hub on loopback, asked by the real huggingface_hub in a process of its
own. What is refused is refused before weights are fetched.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.bases.checkpoints import NO_TENSORS, write_small_files
from tests.bases.hubs import serve
from tests.conftest import ROOT

LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
FALCON = {"model_type": "falcon", "architectures": ["FalconForCausalLM"]}
# Of 500 billion weights, whatever machine the test runs on.
HUGE = {
    **LLAMA,
    "hidden_size": 16384,
    "intermediate_size": 53248,
    "num_attention_heads": 128,
    "num_hidden_layers": 160,
    "vocab_size": 128256,
}
INDEX, SHARDS = (
    "model.safetensors.index.json",
    ["model-1-of-2.safetensors", "model-2-of-2.safetensors"],
)
# Builds the base stage's output of each source, and prints what is told of it.
RUN = """
import json, sys
from pathlib import Path
from builder.engine.stage import Work
from builder.errors import ToolError
from builder.machine import Machine
from builder.stages import base
for at, source in enumerate(sys.argv[1:]):
    out = Path(f"out-{at}")
    inputs = base.Inputs(source=source, typed=source, four_bit=None, template="base",
                         identity_words=(), folder=None, pins={})
    try:
        base.run(inputs, Work(out, Path("scratch"), Machine("cpu", "made up", has_bf16=False)))
        told = {}
    except ToolError as error:
        told = {"problems": error.problems, "hint": error.hint}
    print(json.dumps({"source": source, "is_written": out.exists(), **told}))
"""


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A base that cannot be built on: its files, and what is told of it."""

    problem: str
    hint: str
    hub_hint: str = ""
    """Of a repository, where it is another one."""
    config: Mapping[str, Any] = field(default_factory=lambda: LLAMA)
    tokenizer: Mapping[str, Any] = field(default_factory=dict)
    """As `write_small_files` takes it."""
    weights: Sequence[str] = ("model.safetensors",)
    index: Sequence[str] = ()
    """The shards that its index names."""


MISTAKES = {
    "another-tokenizer": Mistake(
        problem="has a tokenizer of 3 tokens and an embedding of 128256 rows",
        hint="beside its weights",
        hub_hint="take a base with its own tokenizer",
        config={**LLAMA, "vocab_size": 128256},
        tokenizer={"vocabulary": ("a", "b", "<|im_end|>")},
    ),
    "no-template": Mistake(
        problem="has no chat template", hint="alpaca", config=FALCON, tokenizer={"jinja": None}
    ),
    "no-eos": Mistake(
        problem="names no EOS token",
        hint="beside its weights",
        hub_hint="take a base that names one",
        tokenizer={"eos": None},
    ),
    "gguf": Mistake(
        problem="contains GGUF files", hint="converted from", weights=["model-Q4_K_M.gguf"]
    ),
    "pickles": Mistake(
        problem="has its weights as pickles", hint="safetensors", weights=["pytorch_model.bin"]
    ),
    **{
        method: Mistake(
            problem=f"has weights quantised by {method}, expected 16 bit",
            hint="16-bit repository",
            config={**LLAMA, "quantization_config": {"quant_method": method}},
        )
        for method in ("awq", "gptq", "fp8")
    },
    "a-shard-missing": Mistake(
        problem=f"lacks {SHARDS[1]}, expected all 2 shards of {INDEX}",
        hint="fetch it again",
        hub_hint="take another base",
        weights=SHARDS[:1],
        index=SHARDS,
    ),
    "no-weights": Mistake(
        problem="has no weights, expected model.safetensors, or shards with their index",
        hint="give the folder that the weights are in",
        hub_hint="take a base in safetensors",
        weights=(),
    ),
    "own-code": Mistake(
        problem="brings Python code of its own (own), which is never run",
        hint="take one without",
        config={"model_type": "own", "auto_map": {"AutoModelForCausalLM": "modeling_own.Own"}},
    ),
    "too-large": Mistake(problem="training needs about", hint="take a smaller base", config=HUGE),
}


def write(folder, mistake):
    """Write a base with its mistake."""
    write_small_files(folder, mistake.config, **mistake.tokenizer)
    for name in mistake.weights:
        (folder / name).write_bytes(NO_TENSORS)
    if mistake.index:
        weights = {f"tensor {at}": name for at, name in enumerate(mistake.index)}
        (folder / INDEX).write_text(json.dumps({"weight_map": weights}))


def run(sources, folder, **environment):
    """Run the base stage on each source in one process, and give what was told of each."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *sources],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Give what is told of each mistake, as a folder and as a repository, and the hub."""
    root = tmp_path_factory.mktemp("bad")
    for name, mistake in MISTAKES.items():
        write(root / "acme" / name, mistake)
    folders = [str(root / "acme" / name) for name in MISTAKES]
    repositories = [f"acme/{name}" for name in (*MISTAKES, "gated")]
    work = tmp_path_factory.mktemp("work")
    with serve({}) as hub:
        hub.others = {
            f"acme/{name}": {
                path.name: path.read_bytes() for path in (root / "acme" / name).iterdir()
            }
            for name in MISTAKES
        }
        hub.others["acme/gated"] = hub.others["acme/too-large"]
        hub.gated = frozenset({"acme/gated"})
        home = tmp_path_factory.mktemp("hf")
        found = run([*folders, *repositories], work, HF_HOME=str(home), **hub.environment)
        return {one["source"].removeprefix(f"{root}/"): one for one in found[: len(folders)]} | {
            f"hub {one['source']}": one for one in found[len(folders) :]
        }, hub


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.parametrize("where", ["", "hub "])
def test_a_mistake_is_one_sentence_with_a_way_out(told, where, name):
    """Folder or repository: what it is, what was expected, and what to do; nothing is written."""
    mistake, found = MISTAKES[name], told[0][f"{where}acme/{name}"]
    (sentence,) = found["problems"]

    assert sentence.startswith(f"{found['source']}: {mistake.problem}")
    assert ", expected " in sentence
    assert (mistake.hub_hint if where and mistake.hub_hint else mistake.hint) in found["hint"]
    assert not found["is_written"]


def test_a_gated_repository_without_a_token_is_one_sentence(told):
    """Its listing is public and its files are not: where to ask, and that a token is wanted."""
    found = told[0]["hub acme/gated"]

    assert found["problems"] == ["acme/gated: is gated, expected that its owner gave you access"]
    assert "acme/gated, then build with your HF_TOKEN set" in found["hint"]


def test_no_weights_are_fetched_of_what_is_refused(told):
    """The hub was asked for small files alone."""
    assert told[1].count("GET", "/large/") == 0
    assert told[1].count("GET", "config.json") > 0
