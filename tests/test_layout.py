"""What the project says of itself is so."""

import ast
import os
import re
import subprocess
import sys

import pytest

from builder import errors
from builder.targets import MODEL
from tests.conftest import ROOT

HEAVY = (
    "numpy",
    "torch",
    "transformers",
    "unsloth",
    "trl",
    "peft",
    "llama_cpp",
    "datasets",
    "gguf",
    "safetensors",
)
MODULES = sorted((ROOT / "builder").rglob("*.py"))


def test_the_readme_tree_is_there():
    """Every path of the README's tree exists, but for what a build makes."""
    tree = re.search(r"## The tree\n\n```\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[
        1
    ]

    for line in tree.splitlines():
        name = line.split()[0]
        assert name == "build/NAME/" or (ROOT / name).exists(), name


def test_the_map_is_whole():
    """CONTRIBUTING's map has each module and package of builder/ once, and none that is gone."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE)
    named = [name.rstrip("/") for row in rows for name in re.findall(r"`([^`]+)`", row)]
    there = {path.stem for path in (ROOT / "builder").glob("*.py")}
    there |= {path.parent.name for path in (ROOT / "builder").glob("*/__init__.py")}

    assert sorted(named) == sorted(there - {"__init__", "__main__"})


def test_the_walks_name_what_is_there():
    """Each path that CONTRIBUTING names exists, but for what a walk adds."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    paths = re.findall(r"`?\b((?:builder|tests|benchmarks|docs|tools)/[\w./-]+\w/?)", text)
    added = [path for path in paths if re.search(r"\b(NAME|CODE|KIND)\b|NAME", path)]
    gone = [path for path in paths if path not in added and not (ROOT / path).exists()]

    assert len(paths) > 30
    assert gone == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_modules_are_small_and_say_what_they_are(path):
    """Each module opens with a sentence and can be held in one's head."""
    text = path.read_text()

    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) < 320


def test_every_test_states_its_rule():
    """Each test function has a docstring."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"


@pytest.mark.parametrize("stage", MODEL, ids=lambda stage: stage.NAME)
def test_a_stage_has_its_names(stage):
    """Each stage module has the names that CONTRIBUTING lists."""
    for name in (
        *(
            "NAME",
            "WORDS",
            "VERSION",
            "Inputs",
            "inputs",
            "output",
            "check",
            "health",
            "unavailable",
        ),
        *("note", "worker", "run"),
    ):
        assert hasattr(stage, name), name


def test_why_is_light(luma):
    """`persona why` imports neither numpy nor torch nor a trainer."""
    code = (
        "import sys; from builder import cli;"
        "assert cli.main(['why', 'luma']) == 0;"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=luma.parent.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_error_class_is_raised_somewhere():
    """No error class stands unused."""
    source = "".join(path.read_text() for path in MODULES)

    for name in ("ManifestError", "DataError", "ToolError", "GateError"):
        assert f"raise {name}(" in source
        assert issubclass(getattr(errors, name), errors.PersonaError)


def test_the_lock_names_no_registry():
    """requirements.lock holds names, versions and hashes alone."""
    assert not re.search(r"https?://", (ROOT / "requirements.lock").read_text())
