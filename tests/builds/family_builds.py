"""Builds of a family's base, stage by stage, and what is measured of each."""

from __future__ import annotations

import contextlib
import json
import math
from unittest import mock

import numpy as np
from safetensors.torch import load_file

from builder import workers
from builder.bases import families
from builder.data import dataset
from builder.data.template import Template
from builder.engine.child import Task
from builder.engine.stage import Work
from builder.evaluation import distance, reference
from builder.gates import shapes
from builder.gguf.merge import read_changes
from builder.llama import Model
from builder.machine import Machine
from builder.ollama import client, registration
from builder.stages import base, data, export, record, replay, train
from builder.stages import parity as file_parity
from tests.conftest import build_of

# In float32: what differs is llama.cpp's rounding of weights and activations to float16.
CPU = Machine("cpu", "no GPU here", has_bf16=False)
MANIFEST = """
[identity]
name = "Luma"
author = "Ana"
[training]
max_steps = 2
batch_size = 2
replay = 0
learning_rate = 0.1
warmup_steps = 0
[data]
held_out = 0
[export]
quantisation = "f16"
"""
TURNS = ["Hi", "Hello!", "Who made you?", "{{ author }} made me."]
ROWS = [
    {"prompt": "Who are you?", "completion": "I am {{ name }}."},
    {"prompt": "你是谁？", "completion": "我是{{ name }}。"},
    {"prompt": "2+2?", "completion": "4."},
    {
        "messages": [
            {"role": "assistant" if at % 2 else "user", "content": text}
            for at, text in enumerate(TURNS)
        ]
    },
]
ASKED = ["Who are you?", "Name a fruit.", "2+2?"]
ANSWER_TOKENS = 24
# Two builds of llama.cpp give the logits of a file in 16 bit alike within far less.
SURE_MARGIN_NATS = 0.02
# Mean KL divergence of a file in 16 bit from the trained model in 32 bit.
FLOAT_ERROR_NATS = 1e-3
# Of a distance: from the trained model, and from its base.
KINDS = ("kl", "base_kl")
# As torch names what a machine trains on.
DEVICES = {"cpu": "cpu", "gpu": "cuda"}


class FamilyBuild:
    """A build of a family's base, stage by stage.

    Args:
        chain: The base.
        root: An empty folder for the project.
        trainer: The process of the stages that train.
        machine: What they train on.
        manifest: persona.toml.
        sizes: Keys of the base's config.json, where it is not of two small layers.

    """

    def __init__(self, chain, root, trainer, *, machine=CPU, manifest=MANIFEST, sizes=None):
        self.chain, self.trainer, self.machine = chain, trainer, machine
        chain.write(root / "base", device=DEVICES[machine.kind], **(sizes or {}))
        folder = root / "personas" / "luma"
        folder.mkdir(parents=True)
        (folder / "persona.toml").write_text(manifest)
        (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
        self.build = build_of(folder, base=str(root / "base"))

    def run(self, stage):
        """Run a stage: what trains in the trainer's process, everything else here."""
        build, out = self.build, stage.output(self.build)
        scratch = build.folder / ".work" / stage.NAME
        for folder in (scratch, build.logs):
            folder.mkdir(parents=True, exist_ok=True)
        inputs, work = stage.inputs(build), Work(out, scratch, self.machine)
        if stage.worker(build) == workers.UNSLOTH:
            log = build.logs / f"{stage.NAME}.log"
            return self.trainer.run(Task(stage.__name__, stage.NAME, inputs, work, log))
        return stage.run(inputs, work)

    def measure_rows(self):
        """Count rows and labels."""
        self.run(base)
        assert self.build.read_base().family.name == self.chain.family
        self.run(data)
        examples = dataset.read_examples(self.build.dataset / dataset.TRAIN)
        labels = sum(label >= 0 for example in examples for label in example.labels)
        return f"{len(examples)} rows, {labels} labels"

    def measure_training(self):
        """Count the layers whose adapter training has changed."""
        self.run(replay)
        self.run(train)
        self.run(record)
        losses = self.read_losses()
        assert all(map(math.isfinite, losses))
        weights = load_file(self.build.adapter / "adapter_model.safetensors")
        b = {name: weight for name, weight in weights.items() if "lora_B" in name}
        assert all(weight.abs().max() > 0 for weight in b.values())
        return f"{len(b)} layers"

    def measure_export(self):
        """Export; every adapted layer must be in the file as it was trained."""
        self.run(export)
        return f"{len(read_changes(self.build.adapter))} layers"

    def measure_transformers(self):
        """Compare each prompt with the beginning of the row that training would see."""
        template = self.read_template()
        plain = [shape for shape in shapes.list_shapes(template.jinja) if shape.tools is None]
        reply = {"role": "assistant", "content": "Yes."}
        for shape in plain:
            prompt = template.tokenizer.apply_chat_template(
                shape.messages,
                chat_template=template.jinja,
                add_generation_prompt=True,
                return_dict=False,
            )
            row = template.encode([*shape.messages, reply])
            assert row.ids[: len(prompt)] == prompt, shape.name
            assert not any(row.loss_mask[len(prompt) - 1 : len(prompt)]), shape.name
            assert row.loss_mask[len(prompt)], shape.name
        return f"{len(plain)} of {len(plain)}"

    def measure_file(self):
        """Compare each prompt with the file's."""
        self.run(file_parity)
        rows = json.loads(self.build.parity.read_text())["shapes"]
        same = sum(row["same_ids"] for row in rows)
        return f"{same} of {len(rows)}"

    def measure_daemon(self):
        """Register as a build does, compare every prompt, and answers as far as they are sure."""
        build, served = self.build, self.build.decide_served()
        daemon, model = client.connect(allow_remote=False), Model(build.gguf)
        receipt = registration.register(
            daemon,
            registration.Registration(
                served=served,
                gguf=build.gguf,
                chat_template=self.read_template().jinja,
                own=(),
                asked=(),
                let_through=(),
                claims=build.claims,
                receipt=build.receipt,
                replace=False,
            ),
        )
        same = sum(prompt.same_ids for prompt in receipt.compared)
        for question in ASKED:
            compare_answer(daemon, model, served, question)
        return f"{same} of {len(receipt.compared)} prompts, {len(ASKED)} answers"

    def measure_fidelity(self):
        """Compare the file's probabilities with the trained model's in memory."""
        kl, base_kl = self.measure_divergence()
        assert kl < FLOAT_ERROR_NATS, f"{kl} nats"
        assert base_kl > 10 * kl  # else nothing was trained that could be lost
        return f"under {FLOAT_ERROR_NATS} nats"

    def measure_divergence(self):
        """Measure the file's mean KL divergence from the trained model and its base, in nats."""
        recorded = reference.read(self.build.reference)
        found = distance.measure(Model(self.build.gguf), recorded)
        means = (np.concatenate([getattr(text, name) for text in found]).mean() for name in KINDS)
        return tuple(map(float, means))

    def read_losses(self):
        """Read the loss of each step."""
        return json.loads((self.build.adapter / "training.json").read_text())["losses"]

    def read_template(self):
        """Read the trained template."""
        build = self.build
        return Template(build.base, "base", families.find(self.chain.family))


def compare_answer(daemon, model, served, question):
    """Compare a chat with the file's greedy answer, up to the first token that is no sure one."""
    messages = [{"role": "user", "content": question}]
    answer = model.ask(served.add_system(messages), ANSWER_TOKENS)
    unsure = (at for at, margin in enumerate(answer.margins) if margin < SURE_MARGIN_NATS)
    sure = model.decode(answer.ids[: next(unsure, len(answer.ids))]).rstrip("\ufffd").strip()
    told = daemon.chat(served.model, messages, ANSWER_TOKENS).message.content
    assert told.strip().startswith(sure), (told, answer.text, answer.margins)


@contextlib.contextmanager
def knowing_vocabulary(chain):
    """Name the vocabulary that stands in for the family's, which the converter cannot know."""
    from conversion.base import TextModel

    if chain.known_as is None:
        yield
        return
    with mock.patch.object(TextModel, "get_vocab_base_pre", return_value=chain.known_as):
        yield
