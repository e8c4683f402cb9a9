"""The schema of persona.toml, and what is written from it."""

import json
import tomllib

import pytest

from builder import cli, persona
from builder.manifest import schema
from builder.manifest.gate_settings import LIMITS
from builder.manifest.manifest import Manifest
from tests.conftest import ROOT


def list_properties(value):
    """List every property of a schema, at whatever depth, with its name."""
    if isinstance(value, dict):
        yield from value.get("properties", {}).items()
        for item in value.values():
            yield from list_properties(item)
    elif isinstance(value, list):
        for item in value:
            yield from list_properties(item)


def read_at(values, key):
    for part in key.name.split("."):
        values = values[part]
    return values


def test_every_key_says_what_it_is():
    """Each key of each table has a description of its own, or that of the table it holds."""
    made = schema.make_schema()

    for name, found in list_properties(made):
        assert schema._follow(made, found).get("description"), name
    assert all(key.description and key.type for key in schema.list_keys())


def test_every_key_of_the_manifest_is_listed_with_its_default():
    """The keys are the manifest's, and a default is what the manifest has without the key."""
    defaults = Manifest().model_dump(mode="json")
    tables = {name: value for name, value in defaults.items() if isinstance(value, dict)}
    tables["ollama.parameters"] = defaults["ollama"]["parameters"]
    expected = {f"{name}.{key}" for name, table in tables.items() for key in table}
    expected.remove("ollama.parameters")
    keys = {key.name: key for key in schema.list_keys() if "[]" not in key.name}

    assert set(keys) == expected | {"kind", "identity.name", "identity.author"}
    for name, key in keys.items():
        gate = name.removeprefix("gates.")
        if name.startswith("gates.") and gate != "budget_s":
            assert key.default == LIMITS.get(gate), name
        elif not name.startswith("identity."):
            assert key.default == read_at(defaults, key), name
    assert keys["identity.name"].is_required


def test_null_is_nowhere():
    """TOML has no null, and so the schema neither asks for one nor has one as a default."""
    assert "null" not in json.dumps(schema.make_schema())


@pytest.mark.parametrize("name", persona.find(ROOT / "personas"))
def test_the_projects_personas_are_of_the_schema(name):
    """Each table and key that a persona here uses is in the schema, with a value of its type."""
    made = schema.make_schema()
    check(made, made, tomllib.loads((ROOT / "personas" / name / "persona.toml").read_text("utf-8")))


@pytest.mark.parametrize("value", ["0.8", '"advice"', "{ limit = 0.8, mode = 'off' }"])
def test_a_gate_has_its_short_forms(value):
    """A limit, a mode and a table of both are of the schema; what the model refuses is not."""
    made = schema.make_schema()
    check(made, made, tomllib.loads(f"[gates]\nrecall = {value}\n"))

    with pytest.raises(AssertionError):
        check(made, made, {"gates": {"recall": "sometimes"}})
    with pytest.raises(AssertionError):
        check(made, made, {"gates": {"recal": 0.8}})


def check(made, rule, value):
    """Check a value against the parts of JSON schema that the manifest's schema uses."""
    rule = schema._follow(made, rule)
    for branches in ("anyOf", "oneOf"):
        if branches in rule:
            assert any(accepts(made, branch, value) for branch in rule[branches]), value
            return
    kinds = {"string": str, "number": int | float, "integer": int, "boolean": bool}
    kinds |= {"array": list, "object": dict}
    assert isinstance(value, kinds[rule["type"]]), value
    assert value in rule.get("enum", [rule.get("const", value)])
    if isinstance(value, dict):
        known = rule.get("properties", {})
        assert set(rule.get("required", [])) <= set(value)
        for key, item in value.items():
            more = rule.get("additionalProperties")
            assert key in known or more, key
            if key in known or isinstance(more, dict):
                check(made, known.get(key, more), item)
    for item in value if isinstance(value, list) else []:
        check(made, rule["items"], item)


def accepts(made, rule, value):
    try:
        check(made, rule, value)
    except AssertionError:
        return False
    return True


def test_keys_are_printed(capsys):
    """`persona keys` prints each key with its default, type and description; `--json` too."""
    assert cli.main(["keys"]) == cli.DONE
    printed = capsys.readouterr().out
    assert cli.main(["keys", "--json"]) == cli.DONE
    listed = json.loads(capsys.readouterr().out)

    assert [key["name"] for key in listed] == [key.name for key in schema.list_keys()]
    (rank,) = [key for key in listed if key["name"] == "training.rank"]
    assert rank == {
        "name": "training.rank",
        "type": "whole number (at least 1 and at most 256)",
        "default": 16,
        "is_required": False,
        "description": "Rank of the adapter's matrices.",
    }
    assert f"training.rank = 16\n    {rank['type']}\n    {rank['description']}\n" in printed
