"""What the docs say can be typed, written and followed."""

import dataclasses
import json
import re
import shlex
import tomllib

import click
import pytest

from builder.bases.table import Row
from builder.catalogue import Entry
from builder.commands.cleaning import Deletion, Removal
from builder.commands.group import commands
from builder.comparison import Comparison
from builder.data import rows
from builder.data.kinds import KINDS
from builder.data.languages import list_languages
from builder.data.tools import list_names, read_tools
from builder.doctor.finding import Finding
from builder.gates.table import GATES
from builder.manifest import packaged, schema
from builder.manifest.gate_settings import LIMITS, Gates
from builder.manifest.manifest import Manifest
from builder.manifest.schema import Key
from builder.publication.pushing import Publication
from builder.targets import MODEL
from builder.views.rows import ShownRow
from tests.conftest import ROOT, build_of
from tests.pages import (
    DOCS,
    FENCE,
    PAGES,
    TRANSCRIPTS,
    list_blocks,
    list_transcripts,
    list_typed,
    read_typed,
)
from tools import errors, pages

RECIPES = set(
    re.findall(r"^([a-z][a-z-]*)(?: \*\w+)?:", (ROOT / "justfile").read_text(), re.MULTILINE)
)
# What a person writes in place of the words in capitals.
FILLED_IN = {"NAME": "luma", "OTHER": "nova", "ROW": "1", "SHELL": "bash"}
# Endings of files, which are no keys.
FILES = ("jsonl", "json", "csv", "lock", "toml", "parquet", "md", "py")
each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)


def list_options(command):
    """List the options of a command."""
    return {name for one in command.params for name in one.opts} | {"--help"}


def parse(typed):
    """Parse a command as click does, with a value in place of each that a person is to fill in.

    Raises:
        click.UsageError: It is no command, or has no such option, argument or value.

    """
    command = commands.commands.get(typed.name)
    if command is None:
        raise click.UsageError(f"{typed.name} is no command")
    words = (word.strip("[]").removesuffix("...") for word in typed.words)
    command.make_context(typed.name, [FILLED_IN.get(word, word) for word in words])


@each_page
def test_every_command_can_be_typed(path):
    """Each `just X` is a recipe and each `persona X` a command, and click takes what follows."""
    text = path.read_text("utf-8")
    shown = [typed for body in list_blocks(text, "") for typed in list_typed_in(body)]
    for typed in list_typed(text):
        if typed.program == "just":
            assert typed.name in RECIPES, typed
        # A sentence may name a command alone.
        is_whole = typed.words or typed in shown
        if is_whole and (typed.program == "persona" or typed.name in commands.commands):
            parse(typed)


def list_typed_in(body):
    """List the commands of this project in a block."""
    return [typed for line in body.splitlines() for typed in read_typed(line)]


@pytest.mark.parametrize(
    "line",
    [
        "just build nova --bas cpu",
        "just show nova one",
        "just why",
        "just why nova luma",
        "just new nova --language klingon",
        "persona bild nova",
    ],
)
def test_a_command_that_cannot_be_typed_is_found(line):
    """The check of the pages sees a wrong option, value, name or number of names."""
    (typed,) = read_typed(line)

    with pytest.raises(click.UsageError):
        parse(typed)


@each_page
def test_every_benchmark_takes_its_options(path):
    """Each script that a block runs is there, and reads the options that it is given."""
    lines = [
        line for body in list_blocks(path.read_text("utf-8"), "") for line in body.splitlines()
    ]
    for line in lines:
        program, *words = shlex.split(line) if line.startswith(".venv/") else [""]
        if program:
            source = (ROOT / words[0]).read_text("utf-8")
            for option in (word for word in words if word.startswith("--")):
                assert f'"{option}"' in source, line


@each_page
def test_every_transcript_is_compared(path):
    """A block of what is printed is of a kind that some test produces again."""
    kinds = TRANSCRIPTS.get(path.name, ())

    assert len(list_transcripts(path)) == len(kinds), list_transcripts(path)


@each_page
def test_every_option_is_one(path):
    """Each option between backticks is one of some command's; in a table, of the command's row."""
    text = path.read_text("utf-8")
    every = set().union(*map(list_options, commands.commands.values()))
    for code in re.findall(r"`(--[^`\n]+)`", FENCE.sub("", text)):
        assert code.split()[0] in every, code
    for row in re.findall(r"^\| `just .*$", text, re.MULTILINE):
        named = [
            commands.commands[one.name] for one in list_typed(row) if one.name in commands.commands
        ]
        known = set().union(*map(list_options, named))
        assert set(re.findall(r"`(--[a-z-]+)", row)) <= known, row


@each_page
def test_every_key_is_in_the_manifest(path):
    """Each `table.key` of the manifest that a page names exists."""
    keys = {re.sub(r"\[\]", "", key.name) for key in schema.list_keys()}
    keys |= {key.rpartition(".")[0] for key in keys}
    tables = {key.split(".")[0] for key in keys if "." in key}
    for table, key in re.findall(r"`([a-z_]+)\.([a-z_]+)", FENCE.sub("", path.read_text("utf-8"))):
        if table in tables and key not in FILES:
            assert f"{table}.{key}" in keys, f"{table}.{key}"


@each_page
def test_every_manifest_is_one(path):
    """Each block of TOML is a manifest, whole or in part."""
    for body in list_blocks(path.read_text("utf-8"), "toml"):
        Manifest.model_validate(tomllib.loads(body))


@each_page
def test_every_row_can_be_trained_on(path, tmp_path):
    """Each block of JSON is rows of a data file."""
    manifest = Manifest.model_validate({"identity": {"name": "Nova", "author": "Ana"}})
    for body in list_blocks(path.read_text("utf-8"), "json"):
        # Rows of several layouts stand under each other; a file has one.
        for line in body.splitlines():
            json.loads(line)
            file = tmp_path / "data.jsonl"
            file.write_text(line + "\n", "utf-8")
            assert rows.read([file], manifest.data, manifest.identity)


@each_page
def test_every_request_can_be_sent(path):
    """What curl sends to Ollama is JSON, with functions as they are trained."""
    shown = [body for body in list_blocks(path.read_text("utf-8"), "") if body.startswith("curl")]
    for words in map(shlex.split, shown):
        request = json.loads(words[words.index("-d") + 1])
        declared = [tool["function"]["name"] for tool in request["tools"]]

        assert words[1].endswith("/api/chat")
        assert {message["role"] for message in request["messages"]} == {"user"}
        assert list_names(read_tools(request["tools"])) == declared


PRINTED = {
    "list": Entry,
    "show NAME": ShownRow,
    "diff NAME": Comparison,
    "bases": Row,
    "keys": Key,
    "doctor": Finding,
    "clean": Deletion,
    "remove NAME": Removal,
    "push NAME": Publication,
}


def test_every_field_of_json_is_told():
    """docs/files.md has a row for each command with --json, with the fields that it prints."""
    text = (ROOT / "docs" / "files.md").read_text("utf-8")
    table = text.partition("| command | value | fields |\n")[2].partition("\n\n")[0]
    told = dict(re.findall(r"^\| `([^`]+)` \|[^|]*\| (.*?)\|$", table, re.MULTILINE))
    named = {typed.split()[0] for typed in told}

    assert named == {
        name
        for name, command in commands.commands.items()
        if "--json" in list_options(command) and name != "build"
    }
    for typed, kind in PRINTED.items():
        fields = [field.name for field in dataclasses.fields(kind)]
        assert sorted(re.findall(r"`([^`]+)`", told[typed])) == sorted(fields), typed


def list_anchors(path):
    """List the anchors of a page's headings, as site and GitHub make them."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@each_page
def test_every_link_resolves(path):
    """Each link within the project leads to a file and a heading that are there."""
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", path.read_text("utf-8"))):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.is_file(), link
        assert not anchor or anchor in list_anchors(target), link
        assert path.parent == ROOT or target.is_relative_to(ROOT / "docs"), link


@each_page
def test_every_path_is_there(path):
    """Each file of the project that a page names is there."""
    for code in re.findall(r"`([^`\s]+)`", FENCE.sub("", path.read_text("utf-8"))):
        if re.match(r"(builder|tools|tests|benchmarks|docs|personas)/", code):
            known = re.sub(r"personas/(nova|NAME).*", "personas", code)
            assert (ROOT / known).exists(), code


def list_pages(entries):
    """List the pages of a site's navigation, at whatever depth."""
    for entry in entries:
        for value in entry.values():
            yield from [value] if isinstance(value, str) else list_pages(value)


def test_the_site_has_every_page():
    """zensical.toml lists each page of docs/ once, and none that is not there."""
    site = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]

    assert sorted(list_pages(site["nav"])) == [path.name for path in DOCS]
    assert site["theme"]["font"] is False


@pytest.mark.parametrize("name", pages.FILES)
def test_what_is_written_from_the_code_says_what_the_code_says(name):
    """Each page and schema that `just pages` writes is as it would write it now."""
    is_current = (ROOT / name).read_text("utf-8") == pages.FILES[name]()

    assert is_current, f"{name}: the code says otherwise; `just pages` writes it anew"


def test_a_known_error_stands_in_its_group():
    """A sentence has its parts and its hint, under the heading of the module that says it."""
    text = errors.write_page()
    manifest, _, others = text.partition("\n## The data\n")

    assert "| …: already exists | no such folder | choose another name, or edit … |" in manifest
    assert (
        "| …: does not answer | Ollama | start it with ollama serve, or set OLLAMA\\_HOST |"
        in others
    )


def list_rows(name):
    """List the rows of a page's tables as their cells, by the first cell."""
    text = (ROOT / "docs" / name).read_text("utf-8")
    rows = (line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| "))
    return {first: cells for first, *cells in rows}


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.NAME)
def test_every_gate_has_its_advice(gate):
    """docs/refused.md has a row for each gate, with the advice that a build gives."""
    found = list_rows("refused.md").get(gate.NAME, [])

    row = f"docs/refused.md: expected | {gate.NAME} | why it failed | {gate.ADVICE} |"
    assert found[1:] == [gate.ADVICE], row


def test_no_gate_is_told_that_is_gone():
    """docs/refused.md has no row of another gate."""
    assert list_rows("refused.md").keys() <= {"gate", *(gate.NAME for gate in GATES)}


@pytest.mark.parametrize("name", [*filter(Gates.has, Gates.model_fields)])
def test_every_gate_has_its_default(name):
    """docs/verification.md has a row for each gate that can be set, with its limit and modes."""
    modes = {kind.mode(Gates(), name) for kind in KINDS.values()}
    limit = LIMITS.get(name)
    told = f"docs/verification.md: expected | {name} | what it asks | limit {limit} | {modes} |"
    found = list_rows("verification.md").get(name, [])

    assert len(found) == 3, told
    assert limit is None or limit in map(float, re.findall(r"[\d.]*\d", found[1])), told
    assert modes == set(re.findall(r"stop|advice|off", found[2])), told


@pytest.mark.parametrize("name", ["docs/recipes.md", "docs/verification.md"])
def test_a_page_names_every_language(name):
    """The languages of the gates are listed by name where a person asks for them."""
    text = (ROOT / name).read_text("utf-8")

    assert [one.name for one in list_languages() if one.name not in text] == []


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_the_readme_names_every_pack(name):
    """The languages of the packs are listed by their codes."""
    text = (ROOT / name).read_text("utf-8")

    assert [code for code in packaged.list_languages() if f"`{code}`" not in text] == []


def test_every_stage_is_told():
    """docs/decisions.md has a row for each stage, in the order of a build."""
    text = (ROOT / "docs" / "decisions.md").read_text("utf-8")
    told = re.findall(r"^\| (\w+) \| [`t]", text, re.MULTILINE)

    assert told == [one.NAME for one in MODEL], "docs/decisions.md: expected a row of each stage"


@pytest.mark.parametrize("stage", MODEL, ids=lambda stage: stage.NAME)
def test_every_output_is_told(luma, stage):
    """docs/files.md names what each stage leaves in build/NAME/, in its first paragraph."""
    output = stage.output(build_of(luma)).name
    told = (ROOT / "docs" / "files.md").read_text("utf-8").split("\n\n")[1]

    assert re.search(rf"`{re.escape(output)}/?`", told), f"docs/files.md: expected `{output}`"


def test_the_chinese_readme_has_the_same_commands():
    """README.zh.md names the commands of README.md, in its table with the same options."""
    english, chinese = (path.read_text("utf-8") for path in PAGES[:2])

    def read(text):
        table = re.findall(r"^\| `just .*$", text, re.MULTILINE)
        return [
            (typed.program, typed.name, sorted(re.findall(r"`(--[a-z-]+)", row)))
            for row in table
            for typed in list_typed(row)
        ]

    assert read(chinese) == read(english)
    named = {(typed.program, typed.name) for typed in list_typed(english)}
    assert {(typed.program, typed.name) for typed in list_typed(chinese)} == named
