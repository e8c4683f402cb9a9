"""Losses are sent where the manifest says, and no tracker holds up a training."""

import json
import logging
import sys

import pytest

from builder.engine import freshness
from builder.engine.hashes import Hashes
from builder.stages import train as train_stage
from builder.training import captured
from builder.training.graphs import Eager
from builder.training.samples import Asked
from builder.training.tracking import Destination, Tracker, describe_missing
from tests.conftest import build_of

WRITER = """
import json
class SummaryWriter:
    def __init__(self, folder): self.file = open(folder + ".jsonl", "a")
    def add_scalar(self, *sent): self.file.write(json.dumps(sent) + "\\n")
    def close(self): self.file.close()
"""
MODULE = """
class Run:
    def log(self, values, step): {log}
    def finish(self): pass
def init(**options): {init}
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Give a function that puts a package in the place of one that is not installed here."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(name, code):
        (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.delitem(sys.modules, name, raising=False)

    return put


@pytest.fixture
def destination(tmp_path):
    """Give where TensorBoard's files are written."""
    return Destination(kind="tensorboard", run="luma", folder=tmp_path / "board")


def test_every_step_of_a_captured_training_is_sent(install, destination, tmp_path):
    """Each loss and learning rate arrives with its step, and the training is the same."""
    import torch

    from tests.training.tiny import make_examples, make_model, make_settings

    install("tensorboardX", WRITER)
    found = []
    for tracker in (None, Tracker(destination)):
        execution = captured.Execution(graphs=Eager(), dtype=torch.float32, recompute=lambda: None)
        losses = captured.train(
            make_model(),
            make_examples(),
            make_settings(max_steps=30),
            4,
            execution=execution,
            scratch=tmp_path / str(bool(tracker)),
            tracker=tracker,
        )
        found.append(losses)
    tracker.finish()
    lines = (tmp_path / "board.jsonl").read_text().splitlines()
    sent = {(name, step): value for name, value, step in map(json.loads, lines)}

    assert found[0] == found[1]
    assert [sent["train/loss", step] for step in range(1, 31)] == found[1]
    rates = [sent["train/learning_rate", step] for step in range(1, 31)]
    assert rates[0] == 0.0
    assert max(rates) == pytest.approx(rates[3]) == pytest.approx(1e-2)
    assert len(sent) == 60


@pytest.mark.parametrize("broken", ["init", "log"])
def test_a_tracker_that_fails_is_said_once(install, broken, caplog, tmp_path):
    """Whatever a tracker raises, as without a login, training goes on without it."""
    code = {"init": "return Run()", "log": "pass", broken: "raise RuntimeError('no login')"}
    install("wandb", MODULE.format(**code))
    with caplog.at_level(logging.WARNING, "builder"):
        tracker = Tracker(Destination(kind="wandb", run="luma", folder=tmp_path))
        for step in (1, 2):
            tracker.log(step, [1.0], [0.1])
        tracker.finish()

    assert [record.getMessage() for record in caplog.records] == [
        "train: wandb fails (no login); training goes on without it"
    ]


@pytest.mark.parametrize("kind", ["tensorboard", "trackio", "wandb"])
def test_what_is_not_installed_is_said_before_training(luma, kind, caplog, monkeypatch):
    """One sentence names the package and how to install it, and nothing is sent."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    path = luma / "persona.toml"
    path.write_text(path.read_text() + f'[training]\nreport_to = "{kind}"\n')
    with caplog.at_level(logging.WARNING, "builder"):
        train_stage.check(build_of(luma))
    Tracker(Destination(kind=kind, run="luma", folder=luma)).log(1, [1.0], [0.1])

    (record,) = caplog.records
    assert record.getMessage() == describe_missing(kind)
    assert f"pip install {kind}" in record.getMessage()


def test_where_losses_are_sent_makes_nothing_stale(destination, tmp_path):
    """A training that is told to a tracker is the same training."""
    from builder.engine.inputs import File, Tree
    from tests.training.tiny import make_settings

    build = type("B", (), {"roots": (tmp_path,)})()
    described = []
    for where in (None, destination):
        inputs = train_stage.Inputs(
            rows=File(tmp_path / "a"),
            schedule=File(tmp_path / "b"),
            replay=File(tmp_path / "c"),
            base=Tree(tmp_path / "d"),
            training=make_settings(),
            destination=where,
            asked=Asked(dataset=tmp_path, question=None, system=None, template="base"),
        )
        described.append(freshness.describe(train_stage, build, inputs, Hashes(tmp_path)))

    assert described[0] == described[1]
