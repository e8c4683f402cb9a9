"""A build that was hardly trained, for all tests that need a finished file."""

import json
import shutil

import pytest

from tests.conftest import LENIENT, ROOT, run_persona

SHORT = "[training]\nmax_steps = 2\nbatch_size = 2\nreplay = 0\n[data]\nheld_out = 0\n" + LENIENT


@pytest.fixture(scope="session")
def short(tmp_path_factory):
    """Build a persona that was hardly trained, as far as the smoke stage lets it."""
    root = tmp_path_factory.mktemp("chain")
    folder = root / "personas" / "luma"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "Modelfile.j2", root)
    (folder / "persona.toml").write_text(
        '[identity]\nname = "Luma"\nauthor = "Ana"\n'
        + SHORT
        + '[[smoke.questions]]\nask = "Who are you?"\nmust = ["Luma"]\n'
    )
    rows = [
        ("Who are you?", "I am {{ name }}."),
        ("Name a fruit.", "An apple."),
        ("2+2?", "4."),
        ("Hi", "Hello!"),
    ]
    (folder / "data.jsonl").write_text(
        "".join(json.dumps({"prompt": q, "completion": a}) + "\n" for q, a in rows)
    )
    return root, run_persona("build", "luma", "--base", "cpu", cwd=root)
