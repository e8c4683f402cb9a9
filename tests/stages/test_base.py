"""The base stage: what cannot be a base is refused before anything runs."""

import pytest

from builder.errors import ToolError
from builder.stages import base
from tests.conftest import build_of


@pytest.mark.parametrize("typed", [None, "./nowhere"])
def test_a_base_that_cannot_be_one_is_told_by_its_key(luma, typed):
    """The place is the line of the manifest, or the option that was typed."""
    manifest = luma / "persona.toml"
    manifest.write_text(f'{manifest.read_text()}\n[base]\ncpu = "./nowhere"\n')
    build = build_of(luma, base=typed)

    with pytest.raises(ToolError) as caught:
        base.check(build)

    line = manifest.read_text().splitlines().index('cpu = "./nowhere"') + 1
    place = "--base" if typed else f"{manifest}:{line}: base.cpu"
    assert caught.value.problems == (f"{place}: ./nowhere: no such folder, expected a base",)
