"""The manifest's rules."""

import pytest

from builder import persona
from builder.errors import ManifestError

IDENTITY = '[identity]\nname = "X"\nauthor = "Y"\n'


def write(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "persona.toml").write_text(text)
    return folder


def test_three_lines_are_enough(luma):
    """A manifest of an identity alone is whole."""
    read = persona.read(luma)

    assert read.model == "luma:latest"
    assert read.manifest.data.files == ("data.jsonl",)


@pytest.mark.parametrize(
    ("there", "data", "read_from"),
    [
        (["data.csv"], "", ["data.csv"]),
        (["data.parquet"], "", ["data.parquet"]),
        (["data.csv", "data.jsonl"], "", ["data.jsonl"]),
        (["data.csv", "data.tsv"], "", ["data.jsonl"]),
        ([], "", ["data.jsonl"]),
        (["data.csv"], '[data]\nfiles = ["data.jsonl"]\n', ["data.jsonl"]),
        (["data.csv"], '[data]\ntemplate = "chatml"\n', ["data.csv"]),
    ],
)
def test_the_one_data_file_need_not_be_named(project, there, data, read_from):
    """Without data.jsonl the one table that is there is read, unless the manifest names files."""
    folder = write(project / "personas" / "p", IDENTITY + data)
    for name in there:
        (folder / name).touch()

    assert persona.read(folder).data_files == [folder / name for name in read_from]


def test_all_mistakes_at_once_with_their_lines(project):
    """Every mistake of a manifest is told, with its line and the likely word."""
    folder = write(
        project / "personas" / "p",
        '[identity]\nnmae = "X"\nauthor = 3\n\n[training]\nrank = "many"\nlearning_rte = 1\n',
    )

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
    folder = write(
        project / "personas" / "p",
        '[identity]\nname = { en = "X", zh = "甲" }\nauthor = { en = "Y" }\n',
    )

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


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("../x.jsonl", "leaves the persona's folder"),
        ("/etc/passwd", "leaves the persona's folder"),
        ("x\\u0000.jsonl", "leaves the persona's folder"),
    ],
)
def test_files_stay_inside(project, file, sentence):
    """A data file outside the persona's folder is refused, and so is what is no path."""
    folder = write(project / "personas" / "p", f'{IDENTITY}[data]\nfiles = ["{file}"]\n')

    with pytest.raises(ManifestError, match=sentence):
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


@pytest.mark.parametrize(
    ("link", "target"),
    [("x.jsonl", "outside/x.jsonl"), ("in", "outside"), ("in", "../p-else")],
)
def test_links_stay_inside(project, link, target):
    """Data that a link leads out of the folder is refused, also by a folder on the way."""
    for outside in (project / "outside", project / "personas" / "p-else"):
        outside.mkdir()
        (outside / "x.jsonl").write_text("{}\n")
    file = "x.jsonl" if link == "x.jsonl" else f"{link}/x.jsonl"
    folder = write(project / "personas" / "p", f'{IDENTITY}[data]\nfiles = ["{file}"]\n')
    (folder / link).symlink_to(target if target.startswith("..") else project / target)

    with pytest.raises(ManifestError, match="a link that leaves") as caught:
        persona.read(folder)
    assert str(folder / file) in str(caught.value)


def test_links_inside_are_followed(project):
    """Links within the folder are fine, as is one that leads round in a circle until it is read."""
    text = f'{IDENTITY}[data]\nfiles = ["here/x.jsonl", "round"]\n'
    folder = write(project / "personas" / "p", text)
    (folder / "rows").mkdir()
    (folder / "here").symlink_to("rows")
    (folder / "round").symlink_to("round")

    assert persona.read(folder).data_files == [folder / "here" / "x.jsonl", folder / "round"]


def test_a_manifest_is_the_folders_own(project):
    """A manifest that is a link out of the persona's folder is refused."""
    other = write(project / "other", IDENTITY)
    folder = project / "personas" / "p"
    folder.mkdir()
    (folder / "persona.toml").symlink_to(other / "persona.toml")

    with pytest.raises(ManifestError, match=r"p/persona\.toml: a link that leaves"):
        persona.read(folder)


def test_a_persona_stays_in_personas(project):
    """A persona's folder may be a link within personas/, not out of it: a build writes there."""
    write(project / "other", IDENTITY)
    write(project / "personas" / "p", IDENTITY)
    (project / "personas" / "q").symlink_to("p")
    (project / "personas" / "out").symlink_to(project / "other")
    (project / "linked").symlink_to("personas")

    assert persona.read(project / "personas" / "q").model == "q:latest"
    assert persona.read(project / "linked" / "p").model == "p:latest"
    with pytest.raises(ManifestError, match=r"personas/out: a link that leaves .*/personas, "):
        persona.read(project / "personas" / "out")


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("nova", "nova:latest"),
        ("Nova:7B", "Nova:7B"),
        ("ana/luma", "ana/luma:latest"),
        ("ana/luma:7b", "ana/luma:7b"),
        ("localhost:5000/ana/luma", "localhost:5000/ana/luma:latest"),
        ("registry.ollama.ai/library/nova:latest", "registry.ollama.ai/library/nova:latest"),
        ("nova-cloud", "nova-cloud:latest"),
    ],
)
def test_a_models_name_has_a_tag(project, name, model):
    """A name in Ollama may have a namespace and a registry, for a push, and always has a tag."""
    folder = write(project / "personas" / "p", f'{IDENTITY}[ollama]\nmodel = "{name}"\n')

    assert persona.read(folder).model == model


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "is not a name Ollama takes"),
        ("ana//luma", "is not a name Ollama takes"),
        ("/luma", "is not a name Ollama takes"),
        ("luma/", "is not a name Ollama takes"),
        ("luma:", "is not a name Ollama takes"),
        ("a.b/luma", "is not a name Ollama takes"),
        ("a/b/c/luma", "is not a name Ollama takes"),
        ("https://box/ana/luma", "is not a name Ollama takes"),
        ("luma@sha256:00", "is not a name Ollama takes"),
        ("x" * 81, "is not a name Ollama takes"),
        ("luma:cloud", "has a tag that tells Ollama where a model runs"),
        ("luma:Local", "has a tag that tells Ollama where a model runs"),
        ("luma:7b-cloud", "has a tag that tells Ollama where a model runs"),
    ],
)
def test_a_models_name_is_one_that_ollama_takes(project, name, said):
    """What Ollama would refuse, or take for a model of another place, is refused with its line."""
    folder = write(project / "personas" / "p", f'{IDENTITY}[ollama]\nmodel = "{name}"\n')

    with pytest.raises(ManifestError, match=said) as caught:
        persona.read(folder)
    assert "persona.toml:5: ollama.model" in str(caught.value)


def test_text_without_quotes_is_told_how_to_be_written(luma):
    """A first manifest often has `name = Luma`; that it is no UTF-8 would mislead."""
    (luma / "persona.toml").write_text("[identity]\nname = Luma\n")

    with pytest.raises(ManifestError, match=r"persona\.toml:2: Invalid value") as told:
        persona.read(luma)

    assert told.value.hint == 'put text in quotes, such as name = "Luma"'


@pytest.mark.parametrize("line", ['base = "owner/name"', "identity = 3"])
def test_a_value_in_place_of_a_table_is_told_the_table(luma, line):
    """Who writes the base as text is told the table and its keys."""
    manifest = luma / "persona.toml"
    manifest.write_text(f"{line}\n")

    with pytest.raises(ManifestError) as caught:
        persona.read(luma)

    key = line.split()[0]
    assert f":1: {key}: is " in str(caught.value)
    assert f"expected a table: `[{key}]`, and below it " in str(caught.value)
    assert ("gpu, cpu or identity_words" in str(caught.value)) == (key == "base")


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("[smoke]\nquestions = [3]", "`[[smoke.questions]]`"),
        ("[gates]\nend = []", "`[gates.end]`"),
    ],
)
def test_the_header_of_a_table_in_a_table_is_told_whole(luma, text, header):
    """It can be copied into the manifest as it is written."""
    (luma / "persona.toml").write_text(f"{text}\n")

    with pytest.raises(ManifestError) as caught:
        persona.read(luma)

    assert f"expected a table: {header}" in str(caught.value)


def test_mistakes_are_told_in_the_order_of_their_lines(luma):
    """Whatever their kind, also after a list whose line looks like a table."""
    (luma / "persona.toml").write_text(
        "[identity]\nnaem = \"L\"\n[training]\nalpha = [\n['data'],\n]\nrank = true\n[smok]\n"
    )
    with pytest.raises(ManifestError) as caught:
        persona.read(luma)

    told = [problem.rpartition("persona.toml:")[2] for problem in caught.value.problems]
    assert [one.partition(" ")[0] for one in told] == ["1:", "2:", "4:", "7:", "8:"]
    assert told[0].endswith(
        "is missing, expected what it calls itself: one text, or one per language (`en`, `zh`)"
    )
