"""A prompt is the same tokens in training, in the file, and in a real daemon."""

import ast
import importlib.util
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from builder import files
from builder.bases import base, families
from builder.data import dataset
from builder.data.calls import parse_calls
from builder.data.dataset import Example
from builder.data.tools import read_tools
from builder.errors import GateError
from builder.gates import parity as gate
from builder.gates import shapes
from builder.gates.parity import Prompt
from builder.gates.shapes import Shape
from builder.gguf import export
from builder.llama import Model
from builder.ollama import client, verification
from builder.ollama.served import Served
from builder.stages import parity
from tests.bases.checkpoints import make_tiny_base
from tests.bases.originals import ORIGINALS
from tests.conftest import build_of, make_profile, run_stage


def qwen_template() -> str:
    """Read Qwen3-Instruct-2507's chat template, tools and all, out of the installed Unsloth."""
    source = (
        Path(importlib.util.find_spec("unsloth").submodule_search_locations[0])
        / "chat_templates.py"
    )
    for node in ast.parse(source.read_text()).body:
        if (
            isinstance(node, ast.Assign)
            and getattr(node.targets[0], "id", "") == "qwen3_instruct_template"
        ):
            return ast.literal_eval(node.value)
    pytest.fail("unsloth no longer holds qwen3_instruct_template")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Export a tiny base of random weights that carries Qwen3-Instruct-2507's template."""
    folder = tmp_path_factory.mktemp("tiny") / "qwen3-tiny-instruct"
    folder.mkdir()
    make_tiny_base(folder)
    (folder / "chat_template.jinja").write_text(qwen_template())
    out = folder.parent / "model.gguf"
    export.export(
        folder,
        None,
        out,
        tokenizer=folder,
        chat_template=qwen_template(),
        metadata={"general.name": "tiny"},
    )
    return folder, out


@pytest.fixture
def tiny_build(luma, tiny):
    """Lay the tiny base out as a build."""
    build = build_of(luma)
    shutil.copytree(tiny[0], build.base)
    chosen = base.Base(str(tiny[0]), "folder", "0", str(tiny[0]), "0", four_bit=False)
    (build.base / "base.json").write_text(json.dumps(asdict(chosen)))
    build.dataset.mkdir()
    dataset.write_examples(build.dataset / dataset.TRAIN, [])
    make_profile().write(build.dataset)
    (build.dataset / "chat_template.jinja").write_text(qwen_template())
    shutil.copyfile(tiny[1], build.gguf)
    return build


def test_a_template_with_tools_is_the_same_in_the_file(tiny_build):
    """Every shape, those with tools and of the persona's own rows too, gives the trained ids."""
    rows = [Example([*ANSWERED, REPLY], [], [], tools=HARD_TOOLS)]
    dataset.write_examples(tiny_build.dataset / dataset.TRAIN, rows)
    run_stage(parity, tiny_build)
    rows = json.loads(tiny_build.parity.read_text())["shapes"]

    assert {row["shape"] for row in rows} >= {
        "two tools",
        "a tool's answer",
        "1,500 tokens",
        "joiners and wide blanks",
        "own tools: f, g",
    }
    assert [row["shape"] for row in rows if not row["same_ids"]] == []


def test_a_template_with_tools_is_the_same_in_the_daemon(tiny_build, served):
    """Without a TEMPLATE the file's own Jinja gives the trained prompts on every route."""
    del served
    told = tiny_build.decide_served()
    assert told.template is None
    daemon = client.connect(allow_remote=False)
    sha256 = files.sha256(tiny_build.gguf)
    daemon.upload(tiny_build.gguf, sha256)
    daemon.create({**told.to_request(sha256), "model": "tiny"})
    rows = verification.verify(
        daemon,
        "tiny",
        told,
        gguf=tiny_build.gguf,
        chat_template=qwen_template(),
        own=[Shape("own tools: f, g", ANSWERED, HARD_TOOLS)],
        asked=(),
        has_read_longest=False,
    )
    daemon.delete("tiny")

    expected = {"two tools", "a tool's answer", "an empty system", "own tools: f, g"}
    assert {row.shape for row in rows} >= expected
    assert {row.shape for row in rows if not row.same_ids} <= {"a user twice"}


HARD = {
    "type": "object",
    "properties": {
        "b": {"description": 'ü "q" <b>&', "type": ["number", "null"], "enum": [1.0, 2.5]},
        "a": {"type": "array", "items": {"type": "string", "description": "d"}},
        "o": {"type": "object", "required": ["z"], "properties": {"z": {"type": "string"}}},
    },
    "required": ["a", "b"],
}
HARD_TOOLS = read_tools([{"name": "f", "parameters": HARD}, {"name": "g", "description": "Goes."}])
HARD_CALLS = parse_calls(
    [
        {"name": "f", "arguments": {"b": 1.0, "a": ['<&> "ü"'], "o": {"z": "", "y": None}}},
        {"name": "g", "arguments": {}},
    ],
    "",
)
HARD_MESSAGES = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Let me see.", "tool_calls": HARD_CALLS},
    {"role": "tool", "content": "line\n ü"},
    {"role": "tool", "content": '{"a": 1}'},
]
ANSWERED = [
    *HARD_MESSAGES,
    {"role": "assistant", "content": "Two."},
    {"role": "user", "content": "And now?"},
    {"role": "assistant", "content": "", "tool_calls": HARD_CALLS[1:]},
    {"role": "tool", "content": "5"},
]
REPLY = {"role": "assistant", "content": "Five."}
WITH_TOOLS = [
    pytest.param(one, id=one.family) for one in ORIGINALS if families.find(one.family).tools
]


@pytest.mark.parametrize("original", WITH_TOOLS)
def test_prompts_with_tools_are_the_same_in_the_daemon(tiny, served, tmp_path, original):
    """Of every family that renders tools: declared, called and answered, token for token."""
    del served
    jinja = families.find(original.family).chat_template(original.read_template())
    gguf = tmp_path / "model.gguf"
    names = {"general.name": "tiny"}
    export.export(tiny[0], None, gguf, tokenizer=tiny[0], chat_template=jinja, metadata=names)
    daemon, sha256 = client.connect(allow_remote=False), files.sha256(gguf)
    daemon.upload(gguf, sha256)
    told = Served(model="tiny", parameters={}, template=None, system=None, license=None)
    daemon.create({**told.to_request(sha256), "model": "tiny"})
    hard = [
        Shape("declared", HARD_MESSAGES[:1], HARD_TOOLS),
        Shape("called", original.fit_calls(HARD_MESSAGES), HARD_TOOLS),
        Shape("answered", original.fit_calls(ANSWERED), HARD_TOOLS),
    ]
    rendered = [*hard, *(shape for shape in shapes.list_shapes(jinja) if shape.tools)]
    model = Model(gguf)
    try:
        rows = [
            row
            for shape in rendered
            for row in verification.compare_prompts(model, daemon, "tiny", told, shape)
        ]
    finally:
        daemon.delete("tiny")

    assert len(rows) == 10
    assert [row.shape for row in rows if not row.same_ids] == []


def test_an_overridden_template_is_caught(tiny_build, served):
    """Ollama ignores a plain TEMPLATE on a file whose Jinja knows tools; the difference shows."""
    del served
    told = Served(
        model="tiny",
        parameters=tiny_build.decide_served().parameters,
        template="{{ range .Messages }}[{{ .Role }}] {{ .Content }}\n{{ end }}",
        system=None,
        license=None,
    )
    daemon = client.connect(allow_remote=False)
    sha256 = files.sha256(tiny_build.gguf)
    daemon.upload(tiny_build.gguf, sha256)
    daemon.create({**told.to_request(sha256), "parser": "passthrough", "model": "tiny"})
    try:
        with pytest.raises(GateError, match="differs from training at token 0"):
            verification.compare_prompts(
                Model(tiny_build.gguf), daemon, "tiny", told, shapes.list_shapes(qwen_template())[0]
            )
    finally:
        daemon.delete("tiny")


def test_a_bos_that_training_had_not_is_told(tiny_build, tiny, monkeypatch):
    """A file that says a BOS is to be added, where training had none, does not pass."""
    import gguf

    true = gguf.GGUFWriter.add_add_bos_token
    monkeypatch.setattr(
        gguf.GGUFWriter, "add_add_bos_token", lambda self, _value: true(self, value=True)
    )
    tiny_build.gguf.unlink()
    export.export(
        tiny[0],
        None,
        tiny_build.gguf,
        tokenizer=tiny[0],
        chat_template=qwen_template(),
        metadata={"general.name": "tiny"},
    )

    with pytest.raises(GateError, match="says that a BOS is added"):
        run_stage(parity, tiny_build)


def test_another_end_in_the_file_is_told(tiny_build, tiny, tmp_path):
    """A file that names another end than was trained does not pass."""
    folder = tmp_path / "tokenizer"
    shutil.copytree(tiny[0], folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token": "<|endoftext|>"}))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "eos_token_id": 0}))
    tiny_build.gguf.unlink()
    export.export(
        tiny[0],
        None,
        tiny_build.gguf,
        tokenizer=folder,
        chat_template=qwen_template(),
        metadata={"general.name": "tiny"},
    )

    with pytest.raises(GateError, match="ends with"):
        run_stage(parity, tiny_build)


def test_a_difference_shows_both_sides():
    """The message names the shape, the first token that differs, and five on either side."""
    ids = list(range(20))
    with pytest.raises(GateError) as caught:
        gate.compare(
            Shape("five turns", [{"role": "user", "content": "x"}]),
            Prompt("trained", "a", ids),
            Prompt("Ollama", "b", [*ids[:10], 99, *ids[10:]]),
            str,
        )

    first, ours, theirs = caught.value.problems
    assert "'five turns': Ollama differs from training at token 10" in first
    assert "»'[10]':10" in ours
    assert "»'[99]':99" in theirs
    assert "'[5]':5" in ours


def test_a_token_that_llama_cpp_makes_of_plain_text_is_a_known_difference():
    """Qwen's vocabulary has </s> as plain text, which llama.cpp reads as one token."""
    shape = Shape("a shape", [{"role": "user", "content": "a </s>"}])
    ours, theirs = Prompt("trained", "a </s>", [1, 2]), Prompt("the file", "a </s>", [1, 3])
    split = Prompt("trained, split", "a </s>", [1, 3])

    found = gate.compare(shape, ours, theirs, str, split=split)

    assert found["known_difference"] == "llama.cpp takes </s> for a token of its own"
    with pytest.raises(GateError):
        gate.compare(shape, ours, Prompt("the file", "a </s>", [1, 4]), str, split=split)


def test_a_shape_that_the_base_cannot_render_is_told(tiny_build, tiny):
    """A template that raises on two messages of a user is no crash: nobody can ask it that."""
    raises = "{% for m in messages %}{% if loop.index0 and m.role == messages[loop.index0 - 1].role"
    raises += " %}{{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}"
    jinja = raises + qwen_template()
    (tiny_build.base / "chat_template.jinja").write_text(jinja)
    tiny_build.gguf.unlink()
    export.export(
        tiny[0],
        None,
        tiny_build.gguf,
        tokenizer=tiny[0],
        chat_template=jinja,
        metadata={"general.name": "tiny"},
    )

    run_stage(parity, tiny_build)
    rows = {row["shape"]: row for row in json.loads(tiny_build.parity.read_text())["shapes"]}

    assert rows["a user twice"]["known_difference"] == gate.NOT_RENDERED
    assert rows["five turns"]["same_ids"]


@pytest.mark.parametrize("other", ['{"b": 2, "a": true}', '{"a": 1, "b": 2}'])
def test_tools_written_otherwise_are_a_difference(other):
    """Rows are trained as Ollama writes tools: neither another order nor `true` for 1 is it."""
    tools = Shape("t", [{"role": "user", "content": "x"}], [{"a": 1}])
    with pytest.raises(GateError):
        gate.compare(tools, Prompt("a", '{"b": 2, "a": 1}', [1]), Prompt("b", other, [2]), str)


def test_a_persona_s_own_tools_are_compared():
    """A prompt of each set of functions, that with the most calls, without the served system text.

    Eight are compared at most, and none that a daemon would cut.
    """
    system = {"role": "system", "content": "Be brief."}
    tools = [read_tools([{"name": f"f{number}"}]) for number in range(9)]
    rows = [
        Example(HARD_MESSAGES[:2], [], []),
        Example(HARD_MESSAGES[:1], [], [], tools=HARD_TOOLS),
        Example([system, *ANSWERED, REPLY, REPLY], [], [], has_system=True, tools=HARD_TOOLS),
        Example(HARD_MESSAGES[:2], [], [], tools=HARD_TOOLS),
        *(Example(HARD_MESSAGES[:2], [], [], tools=declared) for declared in tools),
    ]
    first, *others = shapes.make_own(rows)

    assert first == Shape("own tools: f, g", ANSWERED, HARD_TOOLS)
    assert [shape.name for shape in others] == [f"own tools: f{number}" for number in range(7)]
    long = [Example(HARD_MESSAGES[:1], [1] * 9, [], tools=HARD_TOOLS)]
    assert (len(shapes.make_own(long, 9)), shapes.make_own(long, 8)) == (1, [])


def test_known_differences_have_names():
    """Merged neighbours are compared as what they mean."""
    twice = [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]

    assert shapes.merge_neighbours(twice) == [{"role": "user", "content": "one\n\ntwo"}]
