"""A finished build, packed; it is made once, and each test gets copies."""

import shutil
from pathlib import Path

import pytest

from builder.archive import writer
from tests.archive.builds import finish, write_persona
from tests.conftest import build_of


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Make a project with a build whose stages are fresh."""
    root = tmp_path_factory.mktemp("finished")
    finish(write_persona(root))
    return root


@pytest.fixture(scope="session")
def archive(finished, tmp_path_factory):
    """Pack it once."""
    out = tmp_path_factory.mktemp("archive") / "luma.persona"
    writer.write(build_of(finished / "personas" / "luma"), out)
    return out


@pytest.fixture
def built(finished, project):
    """Give a build whose stages are fresh."""
    shutil.copytree(finished, project, dirs_exist_ok=True)
    return build_of(project / "personas" / "luma")


@pytest.fixture
def packed(archive, tmp_path_factory):
    """Give the archive in a folder of its own."""
    return Path(shutil.copy(archive, tmp_path_factory.mktemp("packed")))


@pytest.fixture
def home(tmp_path_factory, project):
    """Make another project, with the same Modelfile.j2."""
    root = tmp_path_factory.mktemp("home")
    shutil.copy(project / "Modelfile.j2", root)
    return root
