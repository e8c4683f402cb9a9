"""The register stage: what it hands over to be compared with the daemon."""

import json
from types import SimpleNamespace

from builder.data import dataset
from builder.data.dataset import Example
from builder.engine.inputs import File
from builder.engine.stage import Work
from builder.evaluation.report import Report
from builder.gates.shapes import Shape
from builder.ollama import client, registration
from builder.ollama.served import Served
from builder.stages import register
from tests.conftest import build_of

TOOLS = [{"type": "function", "function": {"name": "hours", "description": "", "parameters": {}}}]
LONG = [{"type": "function", "function": {"name": "long", "description": "", "parameters": {}}}]
MESSAGES = [{"role": "user", "content": "Open?"}, {"role": "assistant", "content": "Yes."}]


def test_a_persona_s_own_tools_are_compared_with_the_daemon(luma, monkeypatch):
    """Before the model has its name, and only of rows with tools that its context holds."""
    build = build_of(luma)
    build.dataset.mkdir(parents=True)
    rows = build.dataset / dataset.TRAIN
    dataset.write_examples(
        rows,
        [
            Example(MESSAGES, [], []),
            Example(MESSAGES, [1] * 5, [], tools=TOOLS),
            Example(MESSAGES, [1] * 6, [], tools=[*TOOLS, *LONG]),
        ],
    )
    (build.dataset / dataset.TEMPLATE).write_text("")
    empty = {"gates": [], "hello": None, "manifest": [], "asked": []}
    Report(share=1.0, tokens_per_s=50.0, **empty).write(build.smoke)
    handed = []

    def take(_daemon, wanted):
        handed.append(wanted.own)
        return SimpleNamespace(model="luma", write=lambda out: out.write_text(json.dumps({})))

    monkeypatch.setattr(registration, "register", take)
    monkeypatch.setattr(client, "connect", lambda **_options: SimpleNamespace(url="http://here"))
    inputs = register.Inputs(
        gguf=File(build.gguf),
        modelfile=File(build.modelfile),
        smoke=File(build.smoke),
        chat_template=File(build.dataset / dataset.TEMPLATE),
        rows=File(rows),
        served=Served(
            model="luma", parameters={"num_ctx": 8}, template=None, system="Be.", license=None
        ),
        allow_remote=False,
        replace=False,
        claims=build.claims,
        receipt=build.receipt,
    )
    register.run(inputs, Work(build.folder / "out.json", build.folder, build.machine))

    assert handed == [(Shape("own tools: hours", MESSAGES[:1], TOOLS),)]
