"""Bases whose files are broken, or whose template has no end: each one sentence, before any use."""

import json

import pytest

from builder import sandbox
from builder.bases import admission, chat_template
from builder.errors import ToolError
from builder.sandbox import LimitError
from tests.bases.checkpoints import CHATML, write_base, write_small_files

LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
ENDLESS = {
    "loops": "{% for a in range(9999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "a power": "{{ 10 ** (10 ** 10) }}",
    "memory": "{{ 'a' * 10 ** 11 }}",
    "text": "{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}",
    "after a reply": "{% if messages | length > 3 %}{{ 10 ** (10 ** 10) }}{% endif %}",
    "a system text": "{% if messages[0].role == 'system' %}{{ 10 ** (10 ** 10) }}{% endif %}",
}


def check(folder, **names):
    """Check a base as the base stage does."""
    admission.check("acme/base", folder, **names)


@pytest.mark.parametrize("jinja", ENDLESS.values(), ids=ENDLESS)
def test_a_template_without_an_end_is_refused(tmp_path, monkeypatch, jinja):
    """A chat template that takes time, memory or text without an end is refused at once."""
    monkeypatch.setattr(sandbox, "MOST_CPU_S", 1)
    write_small_files(tmp_path, LLAMA, jinja=CHATML + jinja)

    with pytest.raises(
        ToolError, match=r"has a chat template that (takes|renders) (too much|more)"
    ):
        check(tmp_path)


@pytest.mark.parametrize(
    "jinja",
    [
        "{{ 1 / 0 }}",
        "{{ raise_exception('no') }}",
        "{{ [][3].x }}",
        "{% if %}",
        "{{ '' | int(base=99) }}",
    ],
)
def test_a_template_that_only_fails_is_told_by_what_renders_it(jinja):
    """What a template raises is caught where it is rendered; it is no limit."""
    chat_template.check_limits(jinja, [[{"role": "user", "content": "a"}]], {})


def test_limits_grow_with_the_rows():
    """A template of the usual length renders ten thousand rows."""
    rows = [[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]] * 10_000

    chat_template.check_limits(CHATML, rows, {})
    with pytest.raises(LimitError):
        chat_template.check_limits(ENDLESS["memory"], rows[:1], {})


def test_the_limit_of_memory_is_of_a_row(monkeypatch):
    """Many rows, each with its functions, are no template that takes too much memory."""
    monkeypatch.setattr(sandbox, "MOST_MEMORY_BYTES", sandbox.MOST_MEMORY_BYTES // 8)
    rows = [[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]] * 4_000
    tools = [[{"name": "f", "description": "ü" * 6_000}]] * len(rows)
    jinja = "{{ tools | tojson }}" + CHATML

    chat_template.check_limits(jinja, rows, {}, tools)
    with pytest.raises(LimitError, match="memory"):
        chat_template.check_limits(ENDLESS["memory"] + jinja, rows[:1], {}, tools[:1])


def test_a_process_that_dies_is_no_pass(tmp_path, monkeypatch):
    """A rendering that nobody saw the end of is refused."""
    (tmp_path / "dying.py").write_text("def compile_template(source): raise SystemExit(7)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with pytest.raises(LimitError, match=r"ends the process that renders it \(7\)"):
        sandbox.render("dying", "", [{}], is_check=True)


BROKEN = {
    "no JSON": ("config.json", "{", "has a config.json that cannot be read"),
    "a list": ("config.json", "[]", "has a config.json that cannot be read"),
    "deep": ("config.json", '{"a": ' * 100_000, "has a config.json that cannot be read"),
    "settings": ("tokenizer_config.json", "3", "has a tokenizer_config.json that cannot be"),
    "architectures": ("config.json", '{"architectures": [3]}', "not of the form"),
    "text config": ("config.json", '{"text_config": 3}', "not of the form"),
    "added tokens": (
        "tokenizer_config.json",
        '{"added_tokens_decoder": 3, "eos_token": "a"}',
        "not of the form",
    ),
    "template list": ("tokenizer_config.json", '{"chat_template": [3]}', "not of the form"),
    "vocabulary": ("tokenizer.json", '{"model": {"vocab": 3}}', "not of the form"),
    "tokenizer": ("tokenizer.json", '{"model": 3}', "not of the form"),
    "index": ("model.safetensors.index.json", "{}", "not of the form"),
}


@pytest.mark.parametrize(("name", "content", "problem"), BROKEN.values(), ids=BROKEN)
def test_small_files_of_another_form_are_one_sentence(tmp_path, name, content, problem):
    """Config, tokenizer and index of wrong types are told, with what to do."""
    write_base(tmp_path, LLAMA)
    (tmp_path / name).write_text(content)
    names = [path.name for path in tmp_path.iterdir()]

    with pytest.raises(ToolError, match=problem) as told:
        check(tmp_path, files=names)
    assert told.value.hint


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"\xff" * 8 + b"{}", b"GGUF" * 99])
def test_weights_cut_short_are_told_by_their_name(tmp_path, content):
    """A shard without a whole header is refused before it is trained on."""
    write_small_files(tmp_path, LLAMA)
    (tmp_path / "model.safetensors").write_bytes(content)

    with pytest.raises(ToolError, match=r"has a model\.safetensors that cannot be read"):
        check(tmp_path, files=["config.json", "model.safetensors"])


def test_a_tokenizer_that_its_library_cannot_read_is_told(tmp_path):
    """A tokenizer.json of the right shape and a wrong content is refused."""
    write_small_files(tmp_path, LLAMA)
    model = {"type": "BPE", "vocab": {"<|im_end|>": 0}, "merges": ["a b"]}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": model, "added_tokens": []}))

    with pytest.raises(ToolError, match=r"has a tokenizer\.json that cannot be read"):
        check(tmp_path)
