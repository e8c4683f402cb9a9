"""What training needs of a model is found in every family, however it is wrapped."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from builder.training.decoder import can_pack, compute_logits, find_decoder
from builder.training.target_modules import find_target_modules
from tests.bases.architectures import ARCHITECTURES
from tests.bases.checkpoints import make_tiny_base
from tests.conftest import ROOT
from tests.gguf.test_families import IDS, make_base

ATTENTION = ["k_proj", "o_proj", "q_proj", "v_proj"]
TARGETS = {
    "llama": {*ATTENTION, "gate_proj", "up_proj", "down_proj"},
    "phi3": {"qkv_proj", "o_proj", "gate_up_proj", "down_proj"},
    "granite 4": {*ATTENTION, "input_linear", "output_linear"},
    "lfm2": {"in_proj", "out_proj", "q_proj", "k_proj", "v_proj", "w1", "w2", "w3"},
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_logits_are_those_of_the_model_itself(name, tmp_path):
    """Decoder, head, scale and soft cap give what the model's own forward gives."""
    model = make_base(name, tmp_path)
    ids = torch.tensor([IDS])

    with torch.no_grad():
        own = model(input_ids=ids).logits
        found = compute_logits(model, find_decoder(model)(input_ids=ids)[0])

    assert torch.allclose(found, own.float(), atol=1e-5)


@pytest.mark.parametrize("name", TARGETS)
def test_every_linear_layer_of_the_decoder_is_a_target(name, tmp_path):
    """Fused and renamed layers are found in the model, and no head or embedding."""
    assert find_target_modules(make_base(name, tmp_path)) == sorted(TARGETS[name])


def test_a_vision_tower_is_no_target(tmp_path):
    """Where it has layers of the same names, the decoder's alone are matched."""
    import re

    model = make_base("gemma3 with vision", tmp_path)
    pattern = find_target_modules(model)
    matched = [name for name, _ in model.named_modules() if re.fullmatch(pattern, name)]

    assert len(matched) == 2 * len(TARGETS["llama"])
    assert all("language_model.layers." in name for name in matched)


@pytest.mark.parametrize(
    ("name", "longest", "packs"),
    [
        ("llama", 500, True),
        ("lfm2", 5, False),
        ("qwen3.5", 5, False),
        ("granite 4 hybrid", 5, False),
        ("granite 4", 500, True),
        ("gemma3", 8, True),
        ("gemma3", 9, False),
    ],
)
def test_rows_are_packed_where_they_stay_apart(name, longest, packs, tmp_path):
    """A state that runs on, or a sliding window that the mask would replace, forbids it."""
    assert can_pack(make_base(name, tmp_path), longest) is packs


TRAININGS = """
import sys
from pathlib import Path
from builder.bases.base import Base
from builder.data.dataset import Example
from builder.machine import Machine
from builder.training import fit, generate, loading, samples
from builder.training.job import Job
from builder.training.settings import Settings
folder, out = map(Path, sys.argv[1:])
base = Base(str(folder), "folder", "1", str(folder), "1", four_bit=False, family_name="smollm2")
ids = [[*range(9, 19 + n)] for n in range(4)]
rows = [Example([], row, [-100] * 4 + row[4:], has_system=False) for row in ids]
settings = Settings(rank=4, alpha=8, learning_rate=1e-3, learning_rate_ratio=8.0,
    max_steps=None, optimizer="adamw", batch_size=2, gradient_accumulation=1, warmup_steps=1,
    weight_decay=0.01, lora_seed=1, seed=2)
template = loading.load_template(folder, "base", base)
asked = [{"role": "user", "content": "Who are you?"}]
answers = []
def ask(model, most_s):
    answers.append(generate.answer_in_training(model, template, asked, max_tokens=4, most_s=most_s))
    return answers[-1]
samples.MOST_SHARE = 1e9
for number in range(3):
    scratch = out / f"work{number}"
    scratch.mkdir()
    model, _ = fit.fit(Job(base=base, rows=rows, settings=settings, epochs=4.0,
        machine=Machine("cpu", "any", False), scratch=scratch),
        samples=samples.Samples("Who are you?", ask) if number == 2 else None)
    loading.save_adapter(model, out / f"adapter{number}")
print([len(answer.ids) for answer in answers])
"""


@pytest.mark.slow
def test_a_process_trains_the_same_adapter_again(tmp_path):
    """Neither an earlier training in the process nor samples change a byte of both files."""
    make_tiny_base(tmp_path / "base")
    done = subprocess.run(
        [sys.executable, "-c", TRAININGS, tmp_path / "base", tmp_path],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
    )

    for name in ("adapter_model.safetensors", "adapter_config.json"):
        first, again, sampled = (
            (tmp_path / f"adapter{number}" / name).read_bytes() for number in range(3)
        )
        assert first == again
        assert first == sampled
    assert done.stdout.splitlines()[-1] == "[4, 4, 4]"
    config = json.loads(Path(tmp_path / "adapter0" / "adapter_config.json").read_text())
    assert config["target_modules"] == sorted(config["target_modules"])
