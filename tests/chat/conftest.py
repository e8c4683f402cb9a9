"""A build to talk to: the embedded base itself stands for a trained file."""

import shutil

import pytest

from builder.bases import baseline
from builder.bases.base import EMBEDDED, Base
from builder.chat.commands import Conversation
from builder.chat.speaker import Speaker, begin
from builder.llama import Model
from builder.stages import base, data
from builder.terminal.console import Console
from tests.conftest import MANIFEST, build_of, run_stage

FILE = Base(EMBEDDED, "embedded", "test", EMBEDDED, "test", four_bit=False)
PARAMETERS = "[ollama.parameters]\nnum_predict = 40\n"


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """The base's and the data stage's outputs, made once."""
    folder = tmp_path_factory.mktemp("prepared") / "personas" / "luma"
    folder.mkdir(parents=True)
    (folder / "persona.toml").write_text(MANIFEST + PARAMETERS)
    (folder / "data.jsonl").write_text('{"prompt": "Who are you?", "completion": "I am Luma."}\n')
    build = build_of(folder)
    for stage in (base, data):
        run_stage(stage, build)
    return build.folder


@pytest.fixture
def build(luma, prepared):
    """A build of luma whose base and rows are there, and the base's file for its own."""
    (luma / "persona.toml").write_text(MANIFEST + PARAMETERS)
    build = build_of(luma)
    shutil.copytree(prepared, build.folder)
    build.gguf.symlink_to(baseline.find(FILE))
    build.modelfile.write_text("FROM ./model.gguf\n")
    return build


@pytest.fixture(scope="session")
def model():
    """The embedded base's file, loaded once."""
    return Model(baseline.find(FILE))


@pytest.fixture
def conversation(build, model):
    """A conversation with that file, at its beginning; a test gives it a console of its own."""
    served = build.decide_served()
    return Conversation(
        settings=begin(served),
        speakers=[Speaker(name="luma", model=model)],
        served=served,
        modelfile=build.modelfile,
        gguf=build.gguf,
        base_name=EMBEDDED,
        console=Console(),
    )
