"""Whatever stands in a file or a variable, it is taken or told: random inputs by Hypothesis."""

import csv
import datetime as dt
import io
import json
import os
import re
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from builder import persona
from builder.data import rows
from builder.errors import DataError, ManifestError, ToolError
from builder.manifest import toml
from builder.manifest.fields import is_visible
from builder.manifest.manifest import Data, Identity, Manifest
from builder.ollama import address, modelfile, served
from builder.ollama.served import Served
from builder.tables import Table
from tests.conftest import ROOT

many = settings(max_examples=200, deadline=None, derandomize=True, database=None)
few = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.integers() | st.floats() | st.sampled_from([2**32, 2**64, 10**400, -1, 0, 1, 0.5])
SCALARS = TEXTS | NUMBERS | st.booleans() | st.dates() | st.times() | st.datetimes()
KINDS = ("stop", "advice", "off", "identity", "voice", "auto", "base", "d.jsonl", "x", "1")
VALUES = st.recursive(
    SCALARS | st.sampled_from(KINDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=4,
)


def find_problems(kind, act, *arguments):
    """Act, and list what is told in an error of a kind; nothing where it is taken."""
    try:
        act(*arguments)
    except kind as error:
        return error.problems
    return ()


def read_manifest(folder):
    """Read a manifest and check its `[ollama]`."""
    served.check_context(persona.read(folder))


def list_keys(model: type[Table], tables: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """List every key of the manifest by its tables, and a misspelt one of each table."""
    keys = [(*tables, "misspelt")]
    for name, described in model.model_fields.items():
        inner = [kind for kind in (described.annotation,) if isinstance(kind, type)]
        if name == "identity":
            inner = [Identity]
        if inner and issubclass(inner[0], Table):
            keys += list_keys(inner[0], (*tables, name))
        keys.append((*tables, name))
    return keys


KEYS = list_keys(Manifest)


def write_value(value: object) -> str:
    """Write a value as TOML."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list():
            return f"[{', '.join(map(write_value, value))}]"
        case dict():
            pairs = (f"{write_value(key)} = {write_value(item)}" for key, item in value.items())
            return f"{{{', '.join(pairs)}}}"
        case dt.date() | dt.time():
            return value.isoformat()
        case _:
            return repr(value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make a persona's folder that the examples of a test share."""
    made = tmp_path_factory.mktemp("project") / "personas" / "p"
    made.mkdir(parents=True)
    return made


@many
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=6))
def test_a_manifest_is_taken_or_told_with_its_line(folder, values):
    """Any value under any key is taken, or told on the line where its key stands."""
    paths = [path for path in values if not any(is_above(path, other) for other in values)]
    lines = [f"{'.'.join(path)} = {write_value(values[path])}" for path in paths]
    (folder / persona.MANIFEST).write_text("\n".join(lines), "utf-8")

    for problem in find_problems(ManifestError, read_manifest, folder):
        assert_is_at_its_key(problem.removeprefix(f"{folder / persona.MANIFEST}:"), lines)


def is_above(path, other):
    """Say whether a key is a table that another key stands in: TOML takes one of the two."""
    return len(path) < len(other) and other[: len(path)] == path


def assert_is_at_its_key(problem, lines):
    """Compare the key that a problem tells with the line that it names."""
    found = re.match(r"(\d+): ([\w.]+)", problem)
    if found is None:  # what is not there has no line
        assert re.match(r" (kind is|\w+(\.\w+)*: is missing|ollama\.parameters\.num_ctx)", problem)
        return
    key = lines[int(found[1]) - 1].partition(" =")[0]
    assert key.startswith(found[2]) or found[2].startswith(key) or "missing" in problem


GOOD = (ROOT / "personas" / "helpdesk" / "persona.toml").read_bytes()


@many
@given(
    st.lists(st.tuples(st.integers(0, len(GOOD)), st.binary(max_size=4)), min_size=1, max_size=4)
    | st.binary(max_size=60)
    | st.text("[]{}=\"'#.,a1\n ", max_size=40).map(str.encode)
)
def test_a_damaged_manifest_is_taken_or_told(folder, damage):
    """Bytes put anywhere into a good manifest, or in its place, raise nothing else."""
    content = damage if isinstance(damage, bytes) else GOOD
    for place, extra in damage if isinstance(damage, list) else []:
        content = content[:place] + extra + content[place + len(extra) :]
    (folder / persona.MANIFEST).write_bytes(content)

    problems = find_problems(ManifestError, read_manifest, folder)

    assert all(problem.startswith(str(folder)) for problem in problems)


LOCATIONS = st.lists(TEXTS.filter(lambda text: "\n" not in text), min_size=1, max_size=3)


@many
@given(st.lists(st.tuples(LOCATIONS, st.integers(0, 3)), min_size=1, max_size=5, unique_by=str))
def test_every_key_is_found_where_it_stands(folder, entries):
    """Each key of any name is on the line on which it was written, whatever texts are between."""
    text, expected = "", {}
    for number, (keys, lines) in enumerate(entries):
        location = (f"t{number}", *keys)
        text += f"note{number} = '''{'[x]' * lines}\n'''\n"
        expected[location] = text.count("\n") + 1
        text += f"{'.'.join(map(write_value, location))} = ['[', # ]\n']']\n"
    path = folder / "keys.toml"
    path.write_text(text, "utf-8")

    assert expected.items() <= toml.read(path).lines.items()


OUTER_KEYS = st.sampled_from(
    ["prompt", "completion", "instruction", "output", "input", "system", "language", "id"]
)
INNER_KEYS = st.sampled_from(["role", "content", "from", "value", "type", "text", "user"])
ROW_KEYS = OUTER_KEYS | INNER_KEYS | st.sampled_from(["messages", "conversations"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | ROW_KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ROW_KEYS, inner, max_size=4),
    max_leaves=8,
)


def read_rows(path, content):
    """Read the rows that are taken; what is told names the file."""
    path.write_bytes(content)
    found = []

    def read():
        found.extend(rows.read([path], Data(), Identity(name="Luma")))

    for problem in find_problems(DataError, read):
        assert problem.startswith((str(path), "  and"))
    return found


@many
@given(st.lists(JSON, max_size=3), st.sampled_from(["jsonl", "json"]))
def test_json_rows_are_taken_or_told(folder, values, ending):
    """Any JSON is taken as a conversation that ends with the assistant's text, or told."""
    lines = map(json.dumps, values)
    text = "\n".join(lines) if ending == "jsonl" else json.dumps(values)

    for row in read_rows(folder / f"d.{ending}", text.encode()):
        assert row.messages[-1]["role"] == "assistant"
        assert all(message["content"].strip() for message in row.messages)


@many
@given(
    st.text('{}[]":,\\u0x"eE+-.1tn \n', max_size=60).map(str.encode) | st.binary(max_size=40),
    st.sampled_from(["jsonl", "json", "csv", "parquet", "txt"]),
)
def test_broken_data_is_taken_or_told(folder, content, ending):
    """Bytes of any kind under any ending raise nothing else."""
    read_rows(folder / f"d.{ending}", content)


FIELDS = st.text(st.characters(exclude_characters="\0{", exclude_categories=["Cs"]), max_size=12)
VISIBLE = FIELDS.filter(is_visible)


@many
@given(
    st.lists(st.tuples(VISIBLE, VISIBLE, FIELDS), min_size=1, max_size=4),
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n"]),
)
def test_a_spreadsheets_csv_is_taken_as_it_was_written(folder, written, delimiter, line_end):
    """Fields come back as they are, whatever stands between them, and other columns are left."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerows([("prompt", "completion", "note"), *written])

    found = read_rows(folder / "d.csv", file.getvalue().encode())

    assert [tuple(message["content"] for message in row.messages) for row in found] == [
        (prompt, completion.strip()) for prompt, completion, _ in written
    ]


PIECES = ['"', '"""', "\n", "\r", "#", " ", "FROM x", "SYSTEM", "你", "\\", "{{", "\t"]
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
LINES = st.lists(st.sampled_from(PIECES) | CHARACTERS, max_size=8).map("".join)


def is_taken(**ollama):
    """Say whether the manifest's `[ollama]` takes values."""
    try:
        Manifest.model_validate({"ollama": ollama})
    except ValidationError:
        return False
    return True


@few
@given(st.lists(st.tuples(LINES, LINES, LINES.filter(bool), NUMBERS), min_size=8, max_size=8))
@example([('a"', '"', '"', 1)])
def test_a_modelfile_says_what_is_meant(samples):
    """What `[ollama]` takes is rendered by the project's template, and read back the same."""
    for system, license_text, stop, temperature in samples:
        parameters = {"stop": [stop], "temperature": temperature}
        if not is_taken(system=system, license=license_text, parameters=parameters):
            continue
        served = Served(
            model="x:latest",
            parameters=parameters,
            template=None,
            system=system or None,
            license=license_text or None,
        )

        text = modelfile.render(ROOT / "Modelfile.j2", served, "X", "base")

        said = modelfile.parse(text)
        for instruction, value in (("SYSTEM", system), ("LICENSE", license_text)):
            carried = "".join(filter(modelfile.is_carried, value))
            assert [found for word, found in said if word == instruction] == [carried] * bool(value)
        assert said[0] == ("FROM", "./model.gguf")
        assert len(said) == 4 + bool(system) + bool(license_text)


HOSTS = st.text("0123456789abx.:/[]@%?#- \t\"'~+\\", max_size=24) | st.text(CHARACTERS, max_size=24)


@many
@given(HOSTS | HOSTS.map("http://{}".format) | HOSTS.map("[{}]:1".format))
@example("http://[::1")
@example("http://[v1.x]:1")
@example("[fe80::1%eth0]:1")
@example(":0")
@example("²:²")
@example(":٣")
def test_an_address_is_a_url_or_told(text):
    """OLLAMA_HOST of any text is a URL with a host and a port, or an error that names it."""
    found = []
    with mock.patch.dict(os.environ, {"OLLAMA_HOST": text}):
        problems = find_problems(ToolError, lambda: found.append(address.host()))

    assert all(problem.startswith("OLLAMA_HOST: ") for problem in problems)
    assert len(found) + len(problems) == 1
    for url in found:
        parts = urlsplit(url)
        assert parts.scheme in ("http", "https")
        assert parts.hostname
        assert 1 <= parts.port <= address.HIGHEST_PORT
        assert url.isascii()
        assert url.isprintable()


def test_the_strategies_cover_every_key():
    """A key that is added to the manifest is tried with random values too."""
    assert ("training", "rank") in KEYS
    assert ("identity", "name") in KEYS
    assert ("gates", "recall", "limit") in KEYS
    assert {Path(*path).parts[0] for path in KEYS} >= set(Manifest.model_fields)
