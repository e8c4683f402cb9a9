"""Templates rendered in a process of their own."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

RENDER = """
import resource, sys
from builder import sandbox
limit, most = getattr(resource, sys.argv[1]), int(sys.argv[2])
resource.setrlimit(limit, (most, most))
print(sandbox.render("builder.ollama.templating", "Hello {{ name }}", [{"name": "Luma"}]))
"""


@pytest.mark.parametrize(("limit", "most"), [("RLIMIT_AS", 900 << 20), ("RLIMIT_CPU", 2)])
def test_a_machine_with_lower_limits_renders_too(limit, most):
    """Where `ulimit` allows less than a template may take, no template is blamed for it."""
    done = subprocess.run(
        [sys.executable, "-c", RENDER, limit, str(most)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "['Hello Luma']\n", done.stderr
