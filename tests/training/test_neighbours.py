"""Two trainings at once on the CPU are told, and nothing else is."""

import pytest

from builder.machine import Machine
from builder.training import neighbours

CPU, GPU = (Machine(kind, kind, has_bf16=True) for kind in ("cpu", "gpu"))


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_a_second_training_is_told(caplog):
    """The second says so; once the first has ended, the next does not."""
    with neighbours.telling(CPU):
        assert caplog.text == ""
        with neighbours.telling(CPU):
            assert "another build is training on this machine" in caplog.text
    caplog.clear()
    with neighbours.telling(CPU):
        assert caplog.text == ""


def test_a_gpu_tells_nothing(caplog):
    """What it has free is told before."""
    with neighbours.telling(CPU), neighbours.telling(GPU):
        assert caplog.text == ""


def test_a_cache_that_cannot_be_written_stops_no_training(tmp_path, caplog):
    """Without a lock nothing is known of others."""
    (tmp_path / "persona").write_text("")
    with neighbours.telling(CPU), neighbours.telling(CPU):
        assert caplog.text == ""
