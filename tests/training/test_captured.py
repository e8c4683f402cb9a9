"""The captured loop, its graphs replaced by calls: what it trains, saves, says and gives up."""

import contextlib
import gc
import logging
import math
import os
import signal
import weakref

import pytest
import torch
from peft.optimizers import create_loraplus_optimizer
from transformers import get_linear_schedule_with_warmup

from builder.engine.stage import Checkpoint
from builder.errors import ToolError
from builder.machine import Machine
from builder.training import captured, rates, shapes
from builder.training import step as training_step
from builder.training.batches import pad
from builder.training.checkpoints import CAPTURED, read_progress
from builder.training.graphs import CudaGraphs, Eager
from builder.training.loss import next_token_loss
from tests.training.tiny import make_examples, make_model, make_settings

EPOCHS = 4


@pytest.fixture(autouse=True)
def _one_thread():
    """Threads that wait for each other take longer than these small products."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Replays:
    """Stands where CUDA graphs do: calls what it was given, and counts."""

    def __init__(self):
        self.made, self.called, self.kept = [], 0, 0

    def make(self, function):
        """Give a function that calls the other."""

        def replay():
            self.called += 1
            function()

        self.made.append(function)
        return replay

    def keep(self, function):
        """Give a function that calls the other, and counts apart."""

        def call():
            self.kept += 1
            function()

        return call

    def running(self):
        """Open nothing."""
        return contextlib.nullcontext()


class Drifts(Replays):
    """A capture that computes something else."""

    def make(self, function):
        """Give a function that calls the other twice."""

        def replay():
            function()
            function()

        return replay


class Fails(Replays):
    """A capture that is refused, as torch refuses one: the end of the capture fails as well."""

    def make(self, _function):
        """Raise as torch does."""
        try:
            raise RuntimeError("operation not permitted when stream is capturing\nand more")
        finally:
            raise RuntimeError("capture_end")


def train(folder, graphs=None, model=None, examples=None, recompute=None, **changes):
    """Train a tiny model; give it and its losses."""
    model = model or make_model()
    execution = captured.Execution(
        graphs=graphs or Eager(), dtype=torch.float32, recompute=recompute or (lambda: None)
    )
    losses = captured.train(
        model,
        examples or make_examples(),
        make_settings(**changes),
        EPOCHS,
        execution=execution,
        scratch=folder,
    )
    return model, losses


def train_plainly(**changes):
    """Train a tiny model by an ordinary loop over the same batches, padded to their longest row."""
    model, examples, settings = make_model(), make_examples(), make_settings(**changes)
    rows = [{"input_ids": one.input_ids, "labels": one.labels} for one in examples]
    steps = shapes.count_steps(len(rows), settings, EPOCHS)
    planned = shapes.plan_steps([len(row["input_ids"]) for row in rows], settings, steps)
    optimizer = create_loraplus_optimizer(
        model,
        torch.optim.AdamW,
        lr=settings.learning_rate,
        loraplus_lr_ratio=settings.learning_rate_ratio,
        loraplus_weight_decay=settings.weight_decay,
    )
    schedule = get_linear_schedule_with_warmup(optimizer, settings.warmup_steps, steps)
    losses = []
    for step in planned:
        labels = sum(shapes.count_labels(rows[row]) for batch in step for row in batch.rows)
        batches = [pad([rows[row] for row in batch.rows]) for batch in step]
        parts = [next_token_loss(model, batch, labels) for batch in batches]
        for part in parts:
            part.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), training_step.MOST_GRADIENT_NORM)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(sum(part.item() for part in parts))
    return model, losses


def weights_of(model):
    """List a model's trained weights."""
    return [weight.detach() for weight in model.parameters() if weight.requires_grad]


def are_equal(model, other):
    """Say whether two models' trained weights are the same to the bit."""
    pairs = zip(weights_of(model), weights_of(other), strict=True)
    return all(torch.equal(one, two) for one, two in pairs)


@pytest.mark.parametrize("accumulation", [1, 3])
def test_it_trains_as_an_ordinary_loop_does(tmp_path, accumulation):
    """Fixed shapes, label slots and rates as tensors change no loss and no weight."""
    model, losses = train(tmp_path, gradient_accumulation=accumulation)
    plain, expected = train_plainly(gradient_accumulation=accumulation)

    assert losses == pytest.approx(expected, abs=2e-5)
    assert losses[-1] < losses[0]
    for one, two in zip(weights_of(model), weights_of(plain), strict=True):
        assert torch.allclose(one, two, atol=2e-4)


def test_gradients_are_clipped(tmp_path, monkeypatch):
    """A norm so small that AdamW's epsilon outweighs it changes the weights as little."""
    monkeypatch.setattr(training_step, "MOST_GRADIENT_NORM", 1e-7)
    model, losses = train(tmp_path)
    plain, expected = train_plainly()

    assert losses == pytest.approx(expected, abs=2e-5)
    for one, two in zip(weights_of(model), weights_of(plain), strict=True):
        assert torch.allclose(one, two, atol=1e-5)


def test_replays_train_as_eager_steps_do(tmp_path):
    """Losses and weights are equal digit for digit, and after the comparison all are replays."""
    graphs = Replays()
    model, losses = train(tmp_path, graphs)
    eager, expected = train(tmp_path)

    assert losses == expected
    assert are_equal(model, eager)
    lengths = len(graphs.made) - 1  # the last is the optimiser's
    assert 1 < lengths <= shapes.MOST_LENGTHS
    assert graphs.called == lengths + 2 * len(losses)


def test_what_is_tried_first_changes_nothing(tmp_path):
    """The optimiser's first call and the comparisons leave weights, moments and step as new."""
    settings = {"max_steps": 1, "warmup_steps": 0}
    model, losses = train(tmp_path, Replays(), **settings)
    plain, expected = train_plainly(**settings)

    assert losses == pytest.approx(expected[:1], abs=2e-5)
    for one, two, first in zip(
        weights_of(model), weights_of(plain), weights_of(make_model()), strict=True
    ):
        assert torch.allclose(one, two, atol=1e-4)
        assert not torch.allclose(one, first, atol=1e-3)


def test_sigterm_ends_with_a_checkpoint_of_the_step(tmp_path):
    """It is one sentence with the step, and the next try goes on to equal losses and weights."""
    whole, expected = train(tmp_path / "whole")
    model, forwards = make_model(), []

    def ask_to_end(*_):
        forwards.append(0)
        if len(forwards) == 8:  # the seventh step: the first forward is of `prepare`'s shapes
            os.kill(os.getpid(), signal.SIGTERM)

    model.get_base_model().model.register_forward_hook(ask_to_end)
    with pytest.raises(ToolError, match=r"stopped after step 8 of 24 with a checkpoint") as told:
        train(tmp_path / "cut", model=model)
    resumed, losses = train(tmp_path / "cut")

    assert "build again" in told.value.hint
    assert losses == expected
    assert are_equal(resumed, whole)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("stopped", [25, 50])
def test_an_interrupted_training_goes_on_with_equal_losses(tmp_path, monkeypatch, stopped):
    """From its last checkpoint, to the same losses and weights as one that was not interrupted."""
    monkeypatch.setattr(captured, "CHECKPOINT_EVERY_S", 0.0)
    whole, expected = train(tmp_path / "whole", max_steps=60)
    reached = []

    def interrupt(_what, done=0, *_):
        reached.append(done)
        if done > stopped:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(captured.progress, "report", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "cut", max_steps=60)
    model = make_model()
    resumed, losses = train(tmp_path / "cut", Replays(), model, max_steps=60)

    assert losses == expected
    assert are_equal(resumed, whole)


@pytest.mark.parametrize("damaged", [b"", b"x", b"\xff" * 9, b"\x02" + bytes(7) + b"[]"])
def test_how_far_a_captured_training_came_is_read_from_its_file(tmp_path, monkeypatch, damaged):
    """Of a GPU's checkpoint the step is told, and the steps in all; of a damaged one nothing."""
    monkeypatch.setattr(captured, "CHECKPOINT_EVERY_S", 0.0)
    train(tmp_path, max_steps=25)
    gpu, cpu = (Machine(kind, "any", has_bf16=True) for kind in ("gpu", "cpu"))

    assert read_progress(tmp_path, gpu) == Checkpoint(done=25, of=25)
    assert read_progress(tmp_path, cpu) is None
    (tmp_path / CAPTURED).write_bytes(damaged)
    assert read_progress(tmp_path, gpu) is None


def test_resuming_is_said_and_saves_the_steps(tmp_path, monkeypatch, caplog):
    """A finished part is not trained again."""
    monkeypatch.setattr(captured, "CHECKPOINT_EVERY_S", 0.0)
    train(tmp_path, max_steps=25)
    graphs = Replays()
    with caplog.at_level(logging.INFO, "builder"):
        _, losses = train(tmp_path, graphs, max_steps=25)

    assert len(losses) == 25
    assert graphs.called == 0
    assert "resuming from step 25" in caplog.text


def test_a_checkpoint_of_another_order_is_left(tmp_path, monkeypatch):
    """Other rows or another seed start anew."""
    monkeypatch.setattr(captured, "CHECKPOINT_EVERY_S", 0.0)
    train(tmp_path, max_steps=25, seed=1)

    _, losses = train(tmp_path, max_steps=30, seed=2)
    _, expected = train(tmp_path / "other", max_steps=30, seed=2)

    assert losses == expected


# As many values as bitsandbytes keeps in 8 bit, and no fewer.
WIDE = {"hidden_size": 256, "rank": 16}


def test_moments_of_8_bit_train_nearly_as_those_of_32_do(tmp_path):
    """Bitsandbytes' AdamW works on a CPU too, and its update is never captured."""
    graphs = Replays()
    model, losses = train(tmp_path, graphs, make_model(**WIDE), optimizer="adamw_8bit")
    _, expected = train(tmp_path / "32", model=make_model(**WIDE))
    plain, eager = train(tmp_path / "eager", model=make_model(**WIDE), optimizer="adamw_8bit")

    assert losses == eager
    assert are_equal(model, plain)
    assert losses != expected
    assert losses == pytest.approx(expected, rel=0.05)
    assert graphs.called == len(graphs.made) + len(losses)
    assert graphs.kept == len(losses)


class Stream:
    """Stands where a stream of CUDA does, and notes what waits for what."""

    def __init__(self, name, noted):
        self.name, self.noted = name, noted

    def wait_stream(self, other):
        """Note it."""
        self.noted.append(f"{self.name} waits for {other.name}")


def test_what_cannot_be_captured_runs_between_graphs(monkeypatch):
    """An 8-bit optimiser that did not wait changed the weights that a step was still reading."""
    noted = []
    default, own = Stream("default", noted), Stream("own", noted)

    @contextlib.contextmanager
    def use(stream):
        noted.append(f"on {stream.name}")
        yield

    monkeypatch.setattr(torch.cuda, "Stream", lambda: own)
    monkeypatch.setattr(torch.cuda, "default_stream", lambda: default)
    monkeypatch.setattr(torch.cuda, "stream", use)

    CudaGraphs().keep(lambda: noted.append("update"))()

    assert noted == ["default waits for own", "on default", "update", "own waits for default"]


def test_each_try_captures_into_a_pool_of_its_own(monkeypatch):
    """A pool whose graphs are gone is refused by torch, as after a capture without memory."""
    pools = iter("ab")
    stream = Stream("own", [])
    monkeypatch.setattr(torch.cuda, "Stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: next(pools))
    graphs = CudaGraphs()

    taken = []
    for _ in range(2):
        with graphs.running():
            taken.append(graphs.pool)

    assert taken == ["a", "b"]


def test_moments_of_8_bit_are_in_a_checkpoint(tmp_path, monkeypatch):
    """A training goes on from them to the losses and weights of one that was not interrupted."""
    monkeypatch.setattr(captured, "CHECKPOINT_EVERY_S", 0.0)
    changes = {"max_steps": 30, "optimizer": "adamw_8bit"}
    whole, expected = train(tmp_path / "whole", model=make_model(**WIDE), **changes)

    def interrupt(_what, done=0, *_):
        if done > 25:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(captured.progress, "report", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "cut", model=make_model(**WIDE), **changes)
    graphs = Replays()
    resumed, losses = train(tmp_path / "cut", graphs, make_model(**WIDE), **changes)

    assert losses == expected
    assert are_equal(resumed, whole)
    assert graphs.called < 2 * shapes.MOST_LENGTHS + 5


@pytest.mark.parametrize(
    ("graphs", "reason"),
    [
        (Fails(), "operation not permitted when stream is capturing"),
        (Drifts(), "where the eager step's is"),
    ],
)
def test_a_failed_capture_trains_eagerly(tmp_path, caplog, graphs, reason):
    """It says the first reason once, and ends with the losses of eager steps."""
    with caplog.at_level(logging.WARNING, "builder"):
        model, losses = train(tmp_path, graphs)
    eager, expected = train(tmp_path / "eager")

    assert losses == expected
    assert are_equal(model, eager)
    assert caplog.text.count("cannot be captured") == 1
    assert reason in caplog.text
    assert "capture_end" not in caplog.text


class OutOfMemory(Replays):
    """A GPU that holds only so many rows at once, and seldom fails half-way."""

    def __init__(self, model, most_rows, from_call=0):
        super().__init__()
        self.calls, self.from_call, self.most_rows = 0, from_call, most_rows
        self.error, self.activations = torch.OutOfMemoryError("CUDA out of memory."), []
        self.held = []
        decoder = model.get_base_model().model
        decoder.register_forward_pre_hook(self.check, with_kwargs=True)

    def check(self, _module, _arguments, options):
        """Raise what torch raises where there are more rows than fit."""
        self.calls += 1
        self.held.append([one for one in self.activations if one() is not None])
        if self.calls > self.from_call and len(options["input_ids"]) > self.most_rows:
            activation = torch.zeros(8)
            self.activations.append(weakref.ref(activation))
            raise type(self.error)(*self.error.args)


def test_out_of_memory_takes_fewer_rows_at_once(tmp_path, caplog):
    """Batches are halved until they fit, from the step that failed, and the step stays the same."""
    model = make_model()
    graphs = OutOfMemory(model, most_rows=1, from_call=12)
    with caplog.at_level(logging.WARNING, "builder"):
        _, losses = train(tmp_path, graphs, model)
    said = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    _, expected = train(tmp_path / "whole")

    assert losses == pytest.approx(expected, abs=2e-5)
    assert len(said) == 2
    assert "with 2 rows at once, was 4" in said[0]
    assert "with 1 rows at once, was 2" in said[1]
    assert "from step 0" not in said[0]


@pytest.mark.parametrize("from_call", [12, 13])
def test_a_step_cut_short_is_done_anew(tmp_path, caplog, from_call):
    """What its first batches left of gradients and loss is in no later one, nor in a comparison."""
    model = make_model()
    graphs = OutOfMemory(model, most_rows=2, from_call=from_call)
    _, losses = train(tmp_path, graphs, model, gradient_accumulation=3)
    _, expected = train(tmp_path / "whole", gradient_accumulation=3)

    assert losses == pytest.approx(expected, abs=2e-5)
    assert "cannot be captured" not in caplog.text


def test_with_one_row_at_once_activations_are_computed_twice(tmp_path, caplog):
    """The last rung, said; and where that does not suffice either, it says what to do."""
    model, calls = make_model(), []
    graphs = OutOfMemory(model, most_rows=0)

    def recompute():
        calls.append(graphs.calls)
        graphs.most_rows = 1

    with caplog.at_level(logging.WARNING, "builder"):
        _, losses = train(tmp_path, graphs, model, recompute=recompute)

    assert len(calls) == 1
    assert "activations computed twice" in caplog.text
    assert losses == pytest.approx(train(tmp_path / "whole")[1], abs=2e-5)

    with pytest.raises(ToolError) as told:
        train(tmp_path / "none", OutOfMemory(model, most_rows=0), model)
    assert str(told.value) == (
        "train: the GPU has no memory for step 1 with one row at once and activations computed "
        "twice, expected room for it"
    )
    assert "training.four_bit = true" in told.value.hint


def test_out_of_memory_in_4_bit_proposes_a_smaller_base(tmp_path):
    """Weights that are in 4 bit already are not proposed to be."""
    model = make_model()
    model.get_base_model().is_loaded_in_4bit = True

    with pytest.raises(ToolError) as told:
        train(tmp_path, OutOfMemory(model, most_rows=0), model)

    assert "--base" in told.value.hint


def test_a_step_without_memory_leaves_none_of_its_activations(tmp_path):
    """What the failed step held is free before the next try, which has room for half of it."""
    model = make_model()
    graphs = OutOfMemory(model, most_rows=1, from_call=12)
    gc.disable()
    try:
        train(tmp_path, graphs, model)
    finally:
        gc.enable()

    assert len(graphs.activations) == 2
    assert not any(graphs.held)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronous"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_memory_that_cuda_itself_lacks_is_out_of_memory_too(tmp_path, caplog, error):
    """A context, a graph or cuBLAS takes memory beside torch's own; without it fewer rows go."""
    model = make_model()
    graphs = OutOfMemory(model, most_rows=2)
    graphs.error = error
    train(tmp_path, graphs, model)

    assert "with 2 rows at once, was 4" in caplog.text
    assert "cannot be captured" not in caplog.text


def test_a_loss_that_is_no_number_stops_with_its_rows(tmp_path):
    """It names the step and what its rows ask, and no checkpoint is left of it."""
    model = make_model()
    decoder = model.get_base_model().model
    forwards = []

    def spoil(_module, _arguments, output):
        forwards.append(0)
        return (output[0] * math.nan,) if len(forwards) > 6 else output

    decoder.register_forward_hook(spoil)
    examples = make_examples()
    settings = make_settings()
    planned = shapes.plan_steps([len(one.input_ids) for one in examples], settings, 24)
    asked = [examples[row].messages[0]["content"] for batch in planned[6] for row in batch.rows]

    with pytest.raises(ToolError) as stopped:
        train(tmp_path, model=model)

    assert "became nan at step 7" in stopped.value.problems[0]
    assert [line.strip(" '") for line in stopped.value.problems[1:]] == asked
    assert not list(tmp_path.iterdir())


def test_the_rate_is_that_of_transformers():
    """Linear up over the warmup, then down to zero, at each step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = get_linear_schedule_with_warmup(optimizer, 5, 20)
    for step in range(20):
        assert rates.find_factor(step, 5, 20) == pytest.approx(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
