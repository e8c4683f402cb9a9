"""A build to publish, and a hub that takes it."""

import json
import shutil

import pytest

from tests.conftest import MANIFEST, ROOT, build_of, run_persona
from tests.publication import hubs
from tests.publication.builds import make_fresh

ROWS = [("Who are you?", "I am {{ name }}."), ("Hello!", "Hi!"), ("2+2?", "4.")]


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Make a project with a build whose stages are fresh up to its gates, once."""
    root = tmp_path_factory.mktemp("finished")
    shutil.copy(ROOT / "Modelfile.j2", root)
    folder = root / "personas" / "luma"
    folder.mkdir(parents=True)
    (folder / "persona.toml").write_text(MANIFEST)
    rows = [json.dumps({"prompt": q, "completion": a}) for q, a in ROWS]
    (folder / "data.jsonl").write_text("\n".join(rows) + "\n")
    make_fresh(folder)
    return root


@pytest.fixture
def fresh(finished, project):
    """Give a copy of it."""
    shutil.copytree(finished, project, dirs_exist_ok=True)
    return build_of(project / "personas" / "luma")


@pytest.fixture
def hub():
    """Serve a hub that takes uploads."""
    with hubs.serve() as served:
        yield served


@pytest.fixture
def push(fresh, hub):
    """Push the build to the hub, as a person would."""

    def run(*arguments, to="hf:ana/luma", **environment):
        return run_persona(
            *("push", "luma", "--to", to, *arguments),
            cwd=fresh.persona.folder.parent.parent,
            **{**hub.environment, **environment},
        )

    return run
