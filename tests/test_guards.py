"""The guards of conftest.py work."""

import os
import socket
from pathlib import Path

import pytest

from tests.conftest import OLLAMA_PORT, ReachedTheWorldError


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("127.0.0.1", OLLAMA_PORT)])
def test_the_world_is_out_of_reach(address):
    """A socket to another machine, or to the default Ollama, raises."""
    with socket.socket() as reaching, pytest.raises(ReachedTheWorldError):
        reaching.connect(address)


def test_home_is_not_home():
    """The home folder is a temporary one."""
    assert "pytest" in str(Path.home())
    assert "pytest" in os.environ["XDG_CACHE_HOME"]
