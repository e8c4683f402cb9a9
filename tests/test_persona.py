"""The manifest's rules."""

import pytest

from builder import persona
from builder.errors import ManifestError


def write(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "persona.toml").write_text(text)
    return folder


def test_three_lines_are_enough(luma):
    """A manifest of an identity alone is whole."""
    read = persona.read(luma)

    assert read.model == "luma:latest"
    assert read.manifest.data.files == ("data.jsonl",)


def test_all_mistakes_at_once_with_their_lines(project):
    """Every mistake of a manifest is told, with its line and the likely word."""
    folder = write(project / "personas" / "p", '[identity]\nnmae = "X"\nauthor = 3\n\n[training]\nrank = "many"\nlearning_rte = 1\n')

    with pytest.raises(ManifestError) as caught:
        persona.read(folder)

    text = str(caught.value)
    assert "persona.toml:2: identity.nmae: unknown key" in text
    assert "did you mean 'name'?" in text
    assert "persona.toml:6: training.rank" in text
    assert "did you mean 'learning_rate'?" in text
    assert "identity.name: is missing" in text
    assert "persona.toml:3: identity.author" in text


def test_languages_must_agree(project):
    """A name in a language that the author lacks is refused by that language."""
    folder = write(project / "personas" / "p", '[identity]\nname = { en = "X", zh = "甲" }\nauthor = { en = "Y" }\n')

    with pytest.raises(ManifestError, match="author has no 'zh'"):
        persona.read(folder)


@pytest.mark.parametrize("name", ["Upper", "a b", "..", "x" * 200, "-x"])
def test_a_name_is_a_folder_and_a_model(project, name):
    """A name that Ollama or a file system would not take is refused."""
    with pytest.raises(ManifestError, match="is not a persona's name"):
        persona.read(project / "personas" / name)


def test_a_missing_persona_is_guessed(luma):
    """A misspelt persona is answered with the one that is meant."""
    with pytest.raises(ManifestError, match="did you mean 'luma'"):
        persona.read(luma.parent / "lumma")


def test_broken_toml_has_its_line(project):
    """A syntax error is told with its line."""
    folder = write(project / "personas" / "p", "[identity]\nname = \n")

    with pytest.raises(ManifestError, match=r"persona\.toml:2: "):
        persona.read(folder)


def test_files_stay_inside(project):
    """A data file outside the persona's folder is refused."""
    folder = write(project / "personas" / "p", '[identity]\nname = "X"\nauthor = "Y"\n[data]\nfiles = ["../x.jsonl"]\n')

    with pytest.raises(ManifestError, match="leaves the persona's folder"):
        persona.read(folder)


@pytest.mark.parametrize("key", ["seed", "lora_seed"])
def test_a_seed_is_one_that_training_takes(project, key):
    """Seeds have 32 bits and no sign, as numpy's do: another is told before anything is trained."""

    def read(value):
        text = f'[identity]\nname = "X"\nauthor = "Y"\n[training]\n{key} = {value}\n'
        return persona.read(write(project / "personas" / "p", text))

    for value in (0, 2**32 - 1):
        assert getattr(read(value).manifest.training, key) == value
    for value in (-1, 2**32):
        with pytest.raises(ManifestError, match=rf"toml:5: training\.{key}: is {value}, expected"):
            read(value)
