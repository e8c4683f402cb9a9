"""Builds of a project."""

import pytest

from builder.errors import ManifestError
from builder.project import Project
from tests.conftest import MANIFEST


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("[trainign]", "trainign: unknown key"),
        ("[training]\nrank = true", "training.rank: is true"),
        ("[ollama]\nsystem = 3\nparameters.num_ctx = 1.5", "ollama.system: is 3"),
        ("[ollama]\nparameters.seed = 1.5", "ollama.parameters.seed"),
    ],
)
def test_mistakes_of_the_manifest_hide_none_of_the_rows(luma, table, told):
    """Whoever mends the manifest mends the rows in the same round."""
    (luma / "persona.toml").write_text(f"{MANIFEST}{table}\n")
    (luma / "data.jsonl").write_text('{"prompt": "Hi"}\n')

    with pytest.raises(ManifestError) as caught:
        Project(luma.parent.parent).build("luma")

    assert told in str(caught.value)
    assert caught.value.problems[-1].startswith(f"{luma / 'data.jsonl'}:1: ")


@pytest.mark.parametrize(
    "text", ['[data]\nfiles = "data.jsonl"', '[identity]\nname = ""', 'kind = "voice2"', "broken"]
)
def test_rows_are_not_read_by_a_table_that_is_wrong(luma, text):
    """What their files and placeholders are is not known, and no mistake is made up."""
    (luma / "persona.toml").write_text(f"{text}\n")
    (luma / "data.jsonl").write_text('{"prompt": "Hi"}\n')

    with pytest.raises(ManifestError) as caught:
        Project(luma.parent.parent).build("luma")

    assert "data.jsonl:1" not in str(caught.value)


def test_a_data_file_outside_the_folder_is_not_read_beside_other_mistakes(luma, tmp_path):
    """A link that leaves the folder is told, and not followed."""
    (tmp_path / "outside.jsonl").write_text('{"prompt": "Hi"}\n')
    (luma / "data.jsonl").unlink()
    (luma / "data.jsonl").symlink_to(tmp_path / "outside.jsonl")
    (luma / "persona.toml").write_text(f"{MANIFEST}[training]\nrank = true\n")

    with pytest.raises(ManifestError) as caught:
        Project(luma.parent.parent).build("luma")

    assert "training.rank" in caught.value.problems[0]
    assert "a link that leaves" in caught.value.problems[1]
    assert len(caught.value.problems) == 2
