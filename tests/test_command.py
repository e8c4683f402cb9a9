"""The command that messages name."""

import ast
import re

import pytest

from builder import command
from builder.views import summary
from tests.conftest import ROOT, run_persona

RECIPE = re.compile(r"\bjust (build|why|list|show|chat|gates|clean)\b")


@pytest.mark.parametrize(("value", "program"), [("just", "just"), ("", "persona")])
def test_messages_name_the_command_that_was_typed(luma, value, program):
    """Started by just a hint, the usage and the help say `just`; else they say `persona`."""
    root = luma.parent.parent
    started = {"cwd": root, "PERSONA_COMMAND": value}

    assert run_persona("chat", "luma", **started).stderr.endswith(f"hint: {program} build luma\n")
    assert f"usage: {program} build NAME..." in run_persona("build", **started).stderr
    assert run_persona("why", "--help", **started).stdout.startswith(f"Usage: {program} why ")


def test_without_just_no_recipe_is_named(monkeypatch):
    """Where `persona` was typed nothing sends a person to `just ollama`."""
    assert any("just ollama" in line for line in summary.tell_without_ollama("luma"))
    monkeypatch.delenv(command.VARIABLE)
    lines = summary.tell_without_ollama("luma")

    assert not any("just" in line for line in lines)
    assert any("persona chat luma" in line for line in lines)


def test_the_justfile_says_that_just_was_typed():
    """Each recipe that starts `persona` does so with PERSONA_COMMAND=just."""
    assert f'export {command.VARIABLE} := "just"' in (ROOT / "justfile").read_text()


def test_no_message_spells_a_command_out():
    """Text of builder/ beside docstrings takes its commands from `command`."""
    found = []
    for path in sorted((ROOT / "builder").rglob("*.py")):
        tree = ast.parse(path.read_text())
        docstrings = {
            node.body[0].value
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node)
        }
        found += [
            f"{path.name}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node not in docstrings
            and RECIPE.search(node.value)
        ]

    assert found == []
