"""What changed in Ollama at which release."""

import re

import pytest

from builder.ollama import releases
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("version", "is_taken"),
    [
        ("0.31.2", True),
        ("0.34.2", True),
        ("1.0.0", True),
        ("0.34.2-rc1", True),
        ("0.31.1", False),
        ("0.9.0", False),
        ("0.0.0", True),
        ("nightly", False),
    ],
)
def test_the_lowest_release_decides(version, is_taken):
    """A release older than the lowest, or without a number, is refused; a source build is not."""
    assert releases.is_supported(version) is is_taken


def test_the_docs_show_the_table():
    """The table of releases in docs/ollama.md is the table, word for word."""
    shown = re.findall(
        r"^\| (\d+\.\d+\.\d+) \| (.+) \| (.+) \|$",
        (ROOT / "docs" / "ollama.md").read_text(),
        re.MULTILINE,
    )

    assert shown == [(change.version, change.what, change.so) for change in releases.CHANGES]


def test_no_other_module_knows_a_version():
    """No condition on a version of Ollama stands anywhere else."""
    for path in (ROOT / "builder").rglob("*.py"):
        if path.name != "releases.py":
            assert not re.search(r"""\(0, \d+, \d+\)|["']0\.3\d\.\d+["']""", path.read_text()), (
                path.name
            )
