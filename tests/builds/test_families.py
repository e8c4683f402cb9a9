"""The whole chain for each family, on random weights: rows, training, export, parity, fidelity."""

import os

import pytest

from builder import files, workers
from builder.bases import table
from builder.engine.worker import Worker
from tests.builds.chains import CHAINS
from tests.builds.family_builds import FamilyBuild, knowing_vocabulary


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    """The process that trains, one for all families."""
    with Worker(workers.UNSLOTH, tmp_path_factory.mktemp("trainer") / "start.log") as started:
        yield started


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.family)
def test_a_family_goes_through_the_whole_chain(chain, tmp_path, trainer, request):
    """Every cell of docs/bases.md is what is measured here; PERSONA_RECORD=1 writes it anew."""
    build = FamilyBuild(chain, tmp_path, trainer)
    with knowing_vocabulary(chain):
        cells = {
            "rows": build.measure_rows(),
            "training": build.measure_training(),
            "export": build.measure_export(),
            "transformers": build.measure_transformers(),
            "file": build.measure_file(),
            "fidelity": build.measure_fidelity(),
        }
    request.getfixturevalue("served")
    cells["ollama"] = build.measure_daemon()

    if os.environ.get("PERSONA_RECORD"):
        files.write_json(table.CHECKED, {**table.read_checked(), chain.family: cells})
    assert table.read_checked()[chain.family] == cells
