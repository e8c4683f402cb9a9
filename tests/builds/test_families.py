"""The whole chain for each family, on random weights: rows, training, export, parity, fidelity."""

import json
import math


import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from builder import workers
from builder.bases import families
from builder.data import dataset
from builder.data.template import Template
from builder.engine.stage import Work
from builder.engine.worker import Task, Worker
from builder.evaluation import distance, reference
from builder.evaluation.report import GateAnswer
from builder.gates import parity
from builder.gguf.merge import read_changes
from builder.llama import Model
from builder.machine import Machine
from builder.ollama import client, registration
from builder.ollama.verification import ComparedAnswer, ComparedPrompt
from builder.stages import base, data, export, record, replay, train
from builder.stages import parity as file_parity
from tests.builds.chains import CHAINS
from tests.conftest import NO_OLLAMA, OLLAMA, build_of

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
            {"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(TURNS)
        ]
    },
]
ASKED = ["Who are you?", "Name a fruit.", "2+2?", "Why is the sky blue?", "Hello!", "Sing."]
ANSWER_TOKENS = 24
# Mean KL divergence of a file in 16 bit from the trained model in 32 bit.
FLOAT_ERROR_NATS = 1e-3


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    """The process that trains, one for all families."""
    with Worker(workers.UNSLOTH, tmp_path_factory.mktemp("trainer") / "start.log") as started:
        yield started


class Chain:
    """A build of a family's base, stage by stage."""

    def __init__(self, chain, root, trainer):
        self.chain, self.trainer, self.root = chain, trainer, root
        chain.write(root / "base")
        folder = root / "personas" / "luma"
        folder.mkdir(parents=True)
        (folder / "persona.toml").write_text(MANIFEST)
        (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
        self.build = build_of(folder, base=str(root / "base"))

    def run(self, stage):
        """Run a stage: what trains in the trainer's process, everything else here."""
        build, out = self.build, stage.output(self.build)
        scratch = build.folder / ".work" / stage.NAME
        for folder in (scratch, build.logs):
            folder.mkdir(parents=True, exist_ok=True)
        inputs, work = stage.inputs(build), Work(out, scratch, CPU)
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
        losses = json.loads((self.build.adapter / "training.json").read_text())["losses"]
        assert len(losses) == 2
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
        shapes = [shape for shape in parity.shapes(template.jinja) if shape.tools is None]
        reply = {"role": "assistant", "content": "Yes."}
        for shape in shapes:
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
        return f"{len(shapes)} of {len(shapes)}"

    def measure_file(self):
        """Compare each prompt with the file's."""
        self.run(file_parity)
        rows = json.loads(self.build.parity.read_text())["shapes"]
        same = sum(row["same_ids"] for row in rows)
        return f"{same} of {len(rows)}"

    def measure_daemon(self):
        """Register as a build does, and count the prompts and answers that were compared."""
        build, served = self.build, self.build.decide_served()
        model = Model(build.gguf)
        asked = [ask(model, served, question) for question in ASKED]
        receipt = registration.register(
            client.connect(allow_remote=False),
            registration.Registration(
                served=served,
                gguf=build.gguf,
                chat_template=self.read_template().jinja,
                asked=asked,
                let_through=(),
                claims=build.claims,
                receipt=build.receipt,
                replace=False,
            ),
        )
        prompts = [entry for entry in receipt.compared if isinstance(entry, ComparedPrompt)]
        answers = [entry for entry in receipt.compared if isinstance(entry, ComparedAnswer)]
        same = sum(prompt.same_ids for prompt in prompts)
        return f"{same} of {len(prompts)}, {len(answers)} answers"

    def measure_fidelity(self):
        """Compare the file's probabilities with the trained model's in memory."""
        recorded = reference.read(self.build.reference)
        found = distance.measure(Model(self.build.gguf), recorded)
        kl = np.concatenate([text.kl for text in found]).mean()
        base_kl = np.concatenate([text.base_kl for text in found]).mean()
        assert kl < FLOAT_ERROR_NATS
        print(f"kl {kl:.2g} base {base_kl:.2g}")
        assert base_kl > 10 * kl  # else nothing was trained that could be lost
        return f"under {FLOAT_ERROR_NATS} nats"

    def read_template(self):
        """Read the trained template."""
        build = self.build
        return Template(build.base, "base", families.find(self.chain.family))


def ask(model, served, question):
    """Let a file answer a question greedily, as the gates do."""
    messages = [{"role": "user", "content": question}]
    prompt = model.tokenize(model.render(served.add_system(messages)))
    answer = model.continue_prompt(prompt, ANSWER_TOKENS)
    return GateAnswer(
        gate="recall",
        messages=messages,
        seed=None,
        answer=answer.text,
        ended=answer.ended,
        is_right=True,
        by_file=True,
        least_margin_nats=min(answer.margins),
        baseline=None,
        baseline_is_right=None,
    )


@pytest.fixture
def _known_vocabulary(request, monkeypatch):
    """Name the vocabulary that stands in for the family's, which the converter cannot know."""
    from conversion.base import TextModel

    if request.param:
        monkeypatch.setattr(TextModel, "get_vocab_base_pre", lambda *_: request.param)


@pytest.mark.parametrize(
    ("chain", "_known_vocabulary"),
    [pytest.param(chain, chain.known_as, id=chain.family) for chain in CHAINS],
    indirect=["_known_vocabulary"],
)
@pytest.mark.usefixtures("_known_vocabulary")
def test_a_family_goes_through_the_whole_chain(chain, tmp_path, trainer, request):
    """Every cell of docs/bases.md is what is measured here; PERSONA_RECORD=1 writes it anew."""
    build = Chain(chain, tmp_path, trainer)
    cells = {
        "rows": build.measure_rows(),
        "training": build.measure_training(),
        "export": build.measure_export(),
        "transformers": build.measure_transformers(),
        "file": build.measure_file(),
        "fidelity": build.measure_fidelity(),
    }
    if OLLAMA is not None:
        request.getfixturevalue("served")
        cells["ollama"] = build.measure_daemon()
    print(chain.family, cells)
