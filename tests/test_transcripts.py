"""What the docs show is what is printed, where that takes no training.

Figures are compared as they are, and times are not. What takes a whole build is compared by
`tests/builds/test_newcomer.py`.
"""

import re
import shutil
import tomllib

import pytest

from tests.conftest import ROOT, read_persona, rows_of, run_persona
from tests.pages import PAGES, find_transcripts, list_blocks
from tests.terminal.test_events import build_light

READMES = PAGES[:2]


def read_stages(text):
    """Read what each stage says when it is done, by its name."""
    return dict(re.findall(r"^(\w+) +done in \S+ +(.*)$", text, re.MULTILINE))


def test_the_first_stages_say_what_the_docs_show(project):
    """Base, data and render of the real luma print what docs/first-persona.md shows."""
    shutil.copytree(ROOT / "personas" / "luma", project / "personas" / "luma")
    done = build_light(project / "personas" / "luma")
    printed = read_stages(done.stderr)

    assert printed.keys() == {"base", "data", "render"}, done.stderr
    for shown in find_transcripts("stages"):
        assert printed.items() <= read_stages("\n".join(shown)).items()


def test_the_data_line_is_the_same_on_every_page():
    """What docs/decisions.md shows of the data stage is what docs/first-persona.md does."""
    (stages,), (why,) = find_transcripts("stages"), find_transcripts("why")
    line = re.sub(r"^data +fresh +", "", why[0])

    assert read_stages("\n".join(stages))["data"] == line


@pytest.mark.parametrize(("path", "language"), [(READMES[0], "en"), (READMES[1], "zh")])
def test_new_writes_the_manifest_that_is_shown(project, path, language):
    """The README's first manifest is what `new` writes, comments aside, and its row is one."""
    shown = list_blocks(path.read_text("utf-8"), "toml")[0]
    options = ("--name", "Nova", "--author", "Ana", "--language", language)
    done = run_persona("new", "nova", *options, cwd=project)
    written = (project / "personas" / "nova" / "persona.toml").read_text("utf-8")

    assert (done.returncode, done.stdout) == (0, "personas/nova\n"), done.stderr
    assert tomllib.loads(written) == tomllib.loads(shown)
    assert "just build nova" in done.stderr


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.name)
def test_the_personas_have_the_rows_that_are_shown(path):
    """The README's table names every persona that comes with the project, and counts its rows."""
    table = re.findall(r"^\| `(\w+)` \|.*\| (\d+) \|$", path.read_text("utf-8"), re.MULTILINE)

    assert {name for name, _ in table} == {one.name for one in (ROOT / "personas").iterdir()}
    for name, count in table:
        assert len(rows_of(read_persona(name))) == int(count), name
