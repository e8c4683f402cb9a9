"""What a model answers while it trains: asked seldom enough, and the training is the same."""

import itertools
import logging
from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from builder import persona
from builder.bases import families
from builder.data.template import Template
from builder.engine import freshness
from builder.engine.hashes import Hashes
from builder.llama import Answer
from builder.progress import Sample
from builder.stages import train as train_stage
from builder.training import captured, generate
from builder.training.compiling import compile_layers
from builder.training.graphs import Eager
from builder.training.samples import MOST_SHARE, Asked, Samples
from tests.archive.builds import finish
from tests.bases.checkpoints import make_tiny_base
from tests.conftest import make_profile
from tests.training.tiny import make_examples, make_model, make_settings

HELLO = [{"role": "user", "content": "Hello"}]


class Training:
    """A training on a clock that stands still but for its steps and its samples.

    Args:
        step_s: What a step takes.
        sample_s: What a sample takes; one that would take more than it may gives up at once.
        first_s: What the first step takes.

    """

    def __init__(self, step_s=1.0, sample_s=0.5, first_s=1.0):
        self.step_s, self.sample_s, self.first_s = step_s, sample_s, first_s
        self.now_s = self.spent_s = 0.0
        self.given_up = 0
        self.samples = Samples("Hello", self.ask, clock=lambda: self.now_s)

    def ask(self, _model, most_s):
        """Answer, or see after a tenth of the time that it is too short."""
        is_short = self.sample_s > most_s
        self.given_up += is_short
        took_s = self.sample_s / 10 if is_short else self.sample_s
        self.now_s += took_s
        self.spent_s += took_s
        return None if is_short else Answer("Hi.", [5], [], ended=True)

    def run(self, steps, first=1, every=1):
        """Train; give the steps after which a sample was taken."""
        taken = []
        for done in range(first, steps + 1):
            self.now_s += self.first_s if done == first else self.step_s
            if done % every == 0 and self.samples.take(None, done, steps):
                taken.append(done)
        return taken


@pytest.mark.parametrize(
    ("training", "options", "taken"),
    [
        (Training(sample_s=0.5), {}, [25, 50, 75]),
        (Training(sample_s=0.9), {}, [25, 50]),
        (Training(sample_s=1.9), {}, [25]),
        (Training(sample_s=2.1), {}, []),
        (Training(sample_s=2.1, first_s=500.0), {}, []),
        (Training(sample_s=0.5), {"first": 60}, [75]),
        (Training(sample_s=0.5), {"every": 20}, [40, 60, 80]),
        (Training(sample_s=0.5, step_s=0.1), {}, []),
        (Training(sample_s=0.0), {"steps": 1}, []),
        (Training(sample_s=0.0), {"steps": 3}, [2]),
    ],
)
def test_samples_take_two_percent_of_a_training_at_most(training, options, taken):
    """Each quarter has one while all of them fit, by measured times; no other time is spent."""
    steps = options.pop("steps", 100)

    assert training.run(steps, **options) == taken
    trained_s = training.now_s - training.spent_s - training.first_s
    assert training.spent_s <= max(MOST_SHARE * trained_s, training.sample_s / 10)
    assert training.given_up <= 1


def test_a_question_that_fails_is_asked_once(caplog):
    """Training goes on, and one sentence says why there are no answers."""

    def ask(_model, _most_s):
        raise torch.OutOfMemoryError("CUDA out of memory.\nand more")

    samples = Samples("Hello", ask, clock=itertools.count().__next__)
    with caplog.at_level(logging.WARNING, "builder"):
        taken = [samples.take(None, done, 8) for done in range(1, 9)]

    assert taken == [None] * 8
    assert [record.getMessage() for record in caplog.records] == [
        "train: no sample can be taken (CUDA out of memory.); training goes on without"
    ]


@pytest.mark.parametrize(
    ("question", "profile", "asked"),
    [
        ("Why?", {"own_languages": ["fr"]}, "Why?"),
        (None, {"own_languages": ["fr", "en"], "languages": ["en"]}, "Qui es-tu ?"),
        (None, {"own_languages": [], "languages": ["zh", "en"]}, "你好"),
        (None, {"own_languages": [], "languages": []}, "Hello"),
    ],
)
def test_the_question_is_the_manifests_or_fits_the_persona(tmp_path, question, profile, asked):
    """Without a question of its own it is asked who it is, or greeted, in its first language."""
    make_profile(**profile).write(tmp_path)
    plain = Asked(dataset=tmp_path, question=question, system=None, template="base")
    served = replace(plain, system="Be brief.")

    assert plain.as_messages() == [{"role": "user", "content": asked}]
    assert served.as_messages() == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": asked},
    ]


def test_another_question_trains_nothing_again(luma):
    """The first question of the manifest is the one, and a change of it makes nothing stale."""
    described, asked = [], []
    path = luma / "persona.toml"
    written = path.read_text()
    build = finish(luma)
    for question in ("Who are you?", "And now?"):
        own = f'\n[[smoke.questions]]\nask = "{question}"\n[[smoke.questions]]\nask = "Hello"\n'
        path.write_text(written + own)
        inputs = train_stage.inputs(replace(build, persona=persona.read(luma)))
        asked.append(inputs.asked.question)
        described.append(freshness.describe(train_stage, build, inputs, Hashes(build.folder)))

    assert asked == ["Who are you?", "And now?"]
    assert described[0] == described[1]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A tiny base with an adapter and dropout, all in training but its norm, and its template."""
    folder = tmp_path_factory.mktemp("tiny")
    make_tiny_base(folder)
    base = AutoModelForCausalLM.from_pretrained(folder, attention_dropout=0.5, dtype=torch.float32)
    model = get_peft_model(
        base, LoraConfig(r=4, lora_dropout=0.5, target_modules=["q_proj"], init_lora_weights=False)
    )
    base.lm_head.weight = torch.nn.Parameter(torch.randn(base.lm_head.weight.shape))
    model.train().get_base_model().model.norm.eval()
    return model, Template(folder, "base", families.SMOLLM2)


def answer(loaded, max_tokens=6, most_s=1e9):
    """Let the tiny model answer."""
    return generate.answer_in_training(*loaded, HELLO, max_tokens=max_tokens, most_s=most_s)


def test_an_answer_in_training_is_that_of_the_model_alone(loaded):
    """Greedily, without dropout, to the token that transformers' own loop makes."""
    model, template = loaded
    found = answer(loaded)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    ids = torch.tensor([template.tokenize(template.render(HELLO))])
    expected = model.generate(input_ids=ids, max_new_tokens=6, do_sample=False)
    for module, mode in modes:
        module.training = mode

    assert found.ids == expected[0, ids.shape[1] :].tolist()
    assert found.text == template.tokenizer.decode(found.ids)
    assert not found.ended


def test_an_answer_in_training_leaves_the_model_as_it_was(loaded):
    """No random number is drawn, every module is in the mode that it was in, and no gradient."""
    model, _ = loaded
    random = torch.get_rng_state()
    modes = [module.training for module in model.modules()]
    answer(loaded)

    assert torch.equal(random, torch.get_rng_state())
    assert modes == [module.training for module in model.modules()]
    assert True in modes
    assert False in modes
    assert all(weight.grad is None for weight in model.parameters())
    assert torch.is_grad_enabled()


def test_an_answer_in_training_ends_with_its_turn(loaded, monkeypatch):
    """The end-of-turn token ends it and is left off."""
    first = answer(loaded).ids
    at = next(at for at, token in enumerate(first) if at and token not in first[:at])
    monkeypatch.setattr(loaded[1], "end_of_turn_id", first[at])
    found = answer(loaded)

    assert (found.ids, found.ended) == (first[:at], True)


def test_an_answer_in_training_ends_in_its_time(loaded, monkeypatch):
    """Where its second token shows that time is too short nothing more is asked; else it is cut."""
    calls, now_s = [], [0.0]
    monkeypatch.setattr(generate.time, "monotonic", lambda: now_s[0])

    def forward(*_):
        calls.append(0)
        now_s[0] += 1.0

    handle = loaded[0].get_base_model().model.register_forward_hook(forward)
    found = [(answer(loaded, 8, most_s=most_s), len(calls)) for most_s in (3.9, 5.0)]
    handle.remove()

    assert found[0] == (None, 2)
    assert (len(found[1][0].ids), found[1][0].ended, found[1][1]) == (5, False, 7)


@pytest.fixture
def one_thread():
    """Threads that wait for each other take longer than these small products."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Replays:
    """Stands where CUDA graphs do."""

    make, running = Eager.make, Eager.running


@pytest.mark.usefixtures("one_thread")
def test_a_captured_training_is_the_same_with_samples(loaded, tmp_path, monkeypatch):
    """Each quarter's answer is that of the model by then, and no loss and no weight differs."""
    monkeypatch.setattr("builder.training.samples.MOST_SHARE", 1e9)
    monkeypatch.setattr(captured, "READ_EVERY_STEPS", 1)
    told, found = [], []
    monkeypatch.setattr(captured.progress, "report", lambda *record: told.append(record))
    for samples in (None, Samples("Hello", sample_of(loaded[1]))):
        model = make_model()
        losses = captured.train(
            model,
            make_examples(),
            make_settings(max_steps=20),
            4,
            execution=captured.Execution(
                graphs=Replays(), dtype=torch.float32, recompute=lambda: None
            ),
            scratch=tmp_path / str(bool(samples)),
            samples=samples,
        )
        weights = [weight.detach() for weight in model.parameters() if weight.requires_grad]
        found.append((losses, weights))

    assert found[0][0] == found[1][0]
    assert all(map(torch.equal, found[0][1], found[1][1]))
    taken = [(record[1], record[4].sample) for record in told if len(record) > 4]
    assert [step for step, sample in taken if sample] == [5, 10, 15]
    assert all(isinstance(sample, Sample) for _, sample in taken if sample)


def sample_of(template):
    """Give what asks a tiny model of 64 tokens, whatever its template says."""

    def ask(model, most_s):
        monkey = Words(template)
        return generate.answer_in_training(model, monkey, HELLO, max_tokens=4, most_s=most_s)

    return ask


class Words:
    """A template of a vocabulary of 64 tokens."""

    end_of_turn_id = 2

    def __init__(self, template):
        self.tokenizer = template.tokenizer

    def render(self, messages):
        """Give what the user says."""
        return messages[-1]["content"]

    def tokenize(self, text):
        """Give a token a character."""
        return [ord(character) % 64 for character in text]


@pytest.mark.slow
def test_asking_compiles_nothing(loaded, tmp_path, monkeypatch):
    """Compiled layers are neither compiled for an answer nor again after it."""
    from builder.training.batches import pack
    from builder.training.loss import next_token_loss

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch.compiler.reset()
    model = make_model()
    compile_layers(model)
    rows = [
        {"input_ids": one.input_ids, "labels": one.labels} for one in make_examples() if one.labels
    ]
    compiled = []
    for batch in (rows[:4], rows[4:8], None, rows[8:12], rows[12:16]):
        if batch is None:
            sample_of(loaded[1])(model, 1e9)
        else:
            next_token_loss(model, pack(batch)).backward()
        compiled.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])

    assert compiled[0] > 0
    assert compiled[1:] == [compiled[1]] * 4
