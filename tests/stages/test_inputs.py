"""Declared inputs are the only inputs."""

import dataclasses
import shutil

import pytest

from builder.bases.base import EMBEDDED
from builder.engine import freshness
from builder.engine.hashes import Hashes
from builder.engine.inputs import File, Tree, list_files
from builder.engine.stage import Work
from builder.targets import MODEL
from tests.archive.builds import LIGHT, finish, write_persona
from tests.conftest import build_of, run_stage

SYSTEM = '[ollama]\nsystem = "You are kind."\n'


def change_paths(inputs, change):
    """Give the same inputs with every declared file and folder somewhere else."""

    def changed(value):
        if isinstance(value, File | Tree):
            return type(value)(change(value.path))
        return tuple(map(changed, value)) if isinstance(value, tuple) else value

    values = {item.name: getattr(inputs, item.name) for item in dataclasses.fields(inputs)}
    return type(inputs)(**{name: changed(value) for name, value in values.items()})


def contents(path):
    """Give a file's bytes, or those of each file in a folder."""
    if path.is_file():
        return path.read_bytes()
    return {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.fixture
def built(luma):
    """Run the light stages of a persona that has a system text."""
    path = luma / "persona.toml"
    path.write_text(path.read_text() + SYSTEM)
    build = build_of(luma, base=EMBEDDED)
    for light in LIGHT:
        run_stage(light, build)
    return build


@pytest.mark.parametrize("light", LIGHT, ids=lambda light: light.NAME)
def test_a_stage_needs_its_declared_files_alone(built, tmp_path, light):
    """In a folder that holds only its declared files a stage writes the same output."""
    root, elsewhere, alone = (
        built.modelfile_template.parent,
        tmp_path / "elsewhere",
        tmp_path / "alone",
    )
    expected = contents(light.output(built))
    declared = light.inputs(built)
    for file in list_files(declared):
        target = alone / file.path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if file.path.is_dir() else shutil.copyfile)(file.path, target)
    moved = change_paths(declared, lambda path: alone / path.relative_to(root))
    for name in ("personas", "build", "Modelfile.j2"):
        (root / name).rename(elsewhere.with_name(f"elsewhere-{name}"))
    work = Work(tmp_path / "out", tmp_path / "scratch", built.machine)

    light.run(moved, work)
    assert contents(work.out) == expected


def another(value):
    """Give a value of the same type that compares as another."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value}x"
        case None:
            return "x"
        case dict() | tuple():
            return {**value, "added": "x"} if isinstance(value, dict) else (*value, "x")
    first = next(name for name in (*type(value).model_fields,) if getattr(value, name) != "x")
    return value.model_copy(update={first: "x"})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Make a build whose stages are all fresh, once: the tests read it alone."""
    folder = write_persona(tmp_path_factory.mktemp("finished"))
    path = folder / "persona.toml"
    path.write_text(path.read_text() + SYSTEM)
    return finish(folder)


@pytest.mark.parametrize("declaring", MODEL, ids=lambda declaring: declaring.NAME)
def test_each_declared_value_makes_a_stage_stale_by_its_name(finished, declaring):
    """Whichever field that is compared changes, the stage is stale, and the reason names it."""
    hashes = Hashes(finished.folder)
    declared = declaring.inputs(finished)
    before = freshness.describe(declaring, finished, declared, hashes)
    fields = [item for item in dataclasses.fields(declared) if item.compare]

    assert fields
    for item in fields:
        value = getattr(declared, item.name)
        if isinstance(value, File | Tree) or item.metadata.get("is_file"):
            continue
        if isinstance(value, tuple) and value and isinstance(value[0], File):
            continue
        if dataclasses.is_dataclass(value):
            continue
        changed = dataclasses.replace(declared, **{item.name: another(value)})
        after = freshness.describe(declaring, finished, changed, hashes)
        reasons = freshness.compare(before, after)
        name = item.metadata.get("name", item.name)
        assert [reason for reason in reasons if reason.startswith(name)], (item.name, reasons)


@pytest.mark.parametrize("declared", MODEL, ids=lambda declared: declared.NAME)
def test_inputs_are_frozen_and_by_name(declared):
    """Each stage declares a frozen dataclass whose fields are given by name."""
    assert declared.Inputs.__dataclass_params__.frozen
    assert all(item.kw_only for item in dataclasses.fields(declared.Inputs))
    assert declared.Inputs.__doc__
