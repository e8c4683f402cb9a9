"""A build that another version made is built again, whatever its files say."""

import json

import pytest

from builder import targets
from builder.bases import base
from builder.data import dataset
from builder.engine import pipeline
from builder.stages import base as base_stage
from builder.stages import data as data_stage
from builder.terminal.console import Console
from tests.conftest import build_of


@pytest.mark.parametrize(
    ("stage", "name", "damaged"),
    [
        (base_stage, base.FACTS, "base"),
        (data_stage, dataset.PROFILE, "dataset"),
        (data_stage, dataset.SCHEDULE, "dataset"),
    ],
)
def test_what_another_version_wrote_is_written_anew(with_rows, stage, name, damaged):
    """Stages that read it are stale with it; none of them fails before it runs."""
    build, folder = with_rows, with_rows.persona.folder
    stamp = build.folder / ".stamps" / f"{stage.NAME}.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "schema": 0}))
    (build.folder / damaged / name).write_text("{}")

    judged = pipeline.plan(build_of(folder), targets.MODEL).judgements

    reasons = {one.stage: one.reasons for one in judged}
    assert reasons[stage.NAME] == ["built by another version"]
    assert "never built" in reasons["train"]
    assert pipeline.run(build_of(folder), targets.ROWS, Console()).has_run
