"""A build to publish, and a hub that takes it."""

import shutil

import pytest

from tests.archive.builds import write_persona
from tests.conftest import build_of, run_persona
from tests.publication import hubs
from tests.publication.builds import make_fresh


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Make a project with a build whose stages are fresh up to its gates, once."""
    root = tmp_path_factory.mktemp("finished")
    make_fresh(write_persona(root))
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
