"""Recipes: what each sets, and what wins over it."""

import pytest

from builder import cli, persona
from builder.bases import families
from builder.data import kinds, schedule
from builder.engine.freshness import compare
from builder.engine.inputs import list_settings
from builder.engine.stamps import Description
from builder.errors import ManifestError
from builder.manifest import manifest, recipes
from builder.manifest.training import Training
from builder.stages import train
from builder.training.settings import Settings, resolve
from tests.conftest import MANIFEST


def read(luma, text):
    """Read a persona with these lines in its manifest."""
    (luma / "persona.toml").write_text(MANIFEST + text)
    return persona.read(luma).manifest


def list_numbers(found, family=families.SMOLLM2):
    """Give the numbers of a training as a reason shows them."""
    numbers = resolve(found.training, family)
    inputs = train.Inputs(
        rows=None,
        schedule=None,
        replay=None,
        base=None,
        training=numbers,
        destination=None,
        asked=None,
    )
    return {name: value for name, value in list_settings(inputs).items() if "." in name}


def test_the_article_is_exactly_its_numbers(luma):
    """Whatever the base's family would choose, and with its chat template."""
    found = read(luma, '[training]\nrecipe = "article"\n')

    assert found.data.template == "alpaca"
    assert found.training.four_bit
    assert resolve(found.training, families.SMOLLM2) == Settings(
        rank=16,
        alpha=16,
        learning_rate=2e-4,
        learning_rate_ratio=1.0,
        max_steps=60,
        optimizer="adamw_8bit",
        batch_size=1,
        gradient_accumulation=8,
        warmup_steps=5,
        weight_decay=0.01,
        lora_seed=3407,
        seed=213,
    )
    planned = schedule.plan(
        kinds.KINDS["identity"],
        40,
        0,
        epochs=found.training.epochs,
        replay=found.training.replay,
        system_share=0.0,
    )
    assert (planned.repeats, planned.replayed) == (1, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rank = 8", {"rank": 8, "alpha": 16, "max_steps": 60}),
        ("max_steps = 90", {"max_steps": 90, "epochs": 1.0}),
        ("epochs = 3.0", {"max_steps": None, "epochs": 3.0}),
        ("epochs = 3.0\nmax_steps = 90", {"max_steps": 90, "epochs": 3.0}),
        ('optimizer = "adamw"\nreplay = 0.1', {"optimizer": "adamw", "replay": 0.1}),
    ],
)
def test_a_key_beside_a_recipe_wins(luma, text, expected):
    """The rest stays the recipe's; epochs that are given are not cut off by its steps."""
    found = read(luma, f'[training]\nrecipe = "article"\n{text}\n').training

    assert {name: getattr(found, name) for name in expected} == expected


def test_a_chat_template_beside_a_recipe_wins(luma):
    """Other keys of its table leave the recipe's in place."""
    other = read(luma, '[data]\nheld_out = 0.0\n[training]\nrecipe = "article"\n')
    own = read(luma, '[data]\ntemplate = "base"\n[training]\nrecipe = "article"\n')

    assert (other.data.template, own.data.template) == ("alpaca", "base")


def test_why_shows_what_a_recipe_changes(luma):
    """Each number that differs is a reason by its key."""
    before, after = (
        Description(1, list_numbers(read(luma, text)), {})
        for text in ("", '[training]\nrecipe = "article"\n')
    )
    reasons = compare(before, after)

    assert "training.optimizer is now adamw_8bit, was adamw" in reasons
    assert "training.learning_rate_ratio is now 1.0, was 8.0" in reasons
    assert "training.max_steps is now 60, was not set" in reasons
    assert not any("rank" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[training]\nrecipe = "articel"\n', "training.recipe"),
        ('[training]\nrecipe = ["article"]\n', "training.recipe"),
        ('[training]\nrecipe = "article"\nrank = "x"\n', "training.rank"),
        ('data = 3\n[training]\nrecipe = "article"\n', "data"),
        ('training = "article"\n', "training"),
    ],
)
def test_a_mistake_beside_a_recipe_is_told_as_any(luma, text, problem):
    """By its line and key; a recipe that there is not is told with those that there are."""
    (luma / "persona.toml").write_text(text)

    with pytest.raises(ManifestError) as told:
        persona.read(luma)
    assert any(problem in line for line in told.value.problems), told.value.problems


def test_keys_show_what_a_recipe_sets(capsys):
    """Nothing is hidden: every key and value of every recipe stands in `persona keys`."""
    assert cli.main(["keys"]) == cli.DONE
    printed = capsys.readouterr().out

    for name, tables in recipes.RECIPES.items():
        assert f"`{name}`: {recipes.describe(name)}" in printed
        assert set(tables["training"]) <= set(Training.model_fields)
        assert set(tables["data"]) <= set(manifest.Data.model_fields)
