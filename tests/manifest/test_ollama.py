"""The table [ollama]: what Ollama and a Modelfile can take."""

import pytest

from builder import persona
from builder.errors import ManifestError
from tests.conftest import build_of


def write_ollama(folder, table):
    """Give a persona's manifest an `[ollama]` table, and read it."""
    identity = '[identity]\nname = "L"\nauthor = "A"\n'
    (folder / "persona.toml").write_text(f"{identity}[ollama]\n{table}\n")
    return persona.read(folder)


def test_an_injection_is_refused(luma):
    """A system text that would end its quotes is refused with its line."""
    (luma / "persona.toml").write_text(
        '[identity]\nname = "L"\nauthor = "A"\n'
        "[ollama]\nsystem = '''a\nx = \"\"\"\nADAPTER /x'''\n"
    )

    with pytest.raises(ManifestError, match="line 2 ends with"):
        persona.read(luma)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("temprature = 1", "did you mean 'temperature'"),
        ('stop = "x"', "expected a list"),
        ('top_k = "3"', "expected a whole number"),
        ("num_ctx = -1", "expected at least 256"),
        ("repeat_penalty = 0", r"is 0, expected at least 0\.01"),
        ("top_p = 1.5", "expected at most 1"),
        ("typical_p = 1.0", "typical_p: is set, expected it not to be: Ollama creates no model"),
        ("mirostat = 1", "unknown key"),
        ("temperature = inf", "is inf, expected a finite number"),
        ("top_p = nan", "is nan, expected a finite number"),
        ("min_p = true", "is true, expected a number"),
        ("use_mmap = 1", "is 1, expected true or false"),
        ("seed = 2026-01-01", "is 2026-01-01, expected a whole number"),
        ("stop = [2026-01-01]", "expected text"),
        ("num_ctx = [4096]", "expected a whole number"),
        ("temperature.x = 1", "expected a number"),
        (r'stop = ["a \"\"\"\nb"]', 'stop.1: line 1 ends with """'),
    ],
)
def test_parameters_are_checked_here(luma, line, message):
    """Ollama stores parameters unchecked, so they are checked before."""
    (luma / "persona.toml").write_text(
        f'[identity]\nname = "L"\nauthor = "A"\n[ollama.parameters]\n{line}\n'
    )

    with pytest.raises(ManifestError, match=message):
        persona.read(luma)


SPECIAL_TOKENS = [
    *("<|im_start|>", "<|eot_id|>", "<|start_header_id|>", "<|end|>", "<|turn>", "<turn|>"),
    *("<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<s>", "</s>", "[INST]", "[/INST]"),
    *("<｜User｜>", "<｜end▁of▁sentence｜>"),
]


@pytest.mark.parametrize("token", SPECIAL_TOKENS)
def test_what_any_family_takes_for_a_special_token_is_refused(luma, token):
    """A system text that holds one is refused by its line, whatever base there will be."""
    with pytest.raises(ManifestError, match=r"ollama\.system: line 2 contains the special") as told:
        write_ollama(luma, f'system = """Be brief.\nSay {token} now."""')
    assert f"token {token!r}, expected plain text" in str(told.value)


@pytest.mark.parametrize(
    "text",
    ["<think>", "a < b | c > d", "<b>bold</b>", "[INSTALL]", "x <| y", "<sup>2</sup>", "<你好>"],
)
def test_what_is_no_special_token_is_text(luma, text):
    """Tags and signs of other kinds may stand in a system text."""
    assert write_ollama(luma, f"system = '{text}'").manifest.ollama.system == text


def test_every_mistake_of_the_table_is_told_at_once(luma):
    """Parameters, system text and licence: one error tells all, each with its place."""
    with pytest.raises(ManifestError) as told:
        write_ollama(
            luma,
            r'system = "<s>\nx \"\"\"\rADAPTER /y"' + "\n"
            r'license = "a \"\"\"\nb"' + "\n"
            "[ollama.parameters]\ntop_k = 1.5\nbeer = 1",
        )

    assert [
        problem.removeprefix(f"{luma}/persona.toml:")[:40] for problem in told.value.problems
    ] == [
        '5: ollama.system: line 2 ends with """, ',
        '6: ollama.license: line 1 ends with """,',
        "8: ollama.parameters.top_k: is 1.5, expe",
        "9: ollama.parameters.beer: unknown key, ",
    ]
    assert "line 1 contains the special token '<s>'" in told.value.problems[0]


def test_mistakes_of_ollama_come_with_those_of_the_rest(luma):
    """The manifest's mistakes are told in one round, whichever table they are in."""
    (luma / "persona.toml").write_text(
        "[identity]\nnam = 1\n[training]\nrank = 0\n"
        "[ollama]\nsystem = '<s>'\n[ollama.parameters]\ntop_k = 1.5\nbeer = 1\n"
    )

    with pytest.raises(ManifestError) as told:
        build_of(luma)

    places = {
        problem.removeprefix("personas/luma/").split(": ")[1] for problem in told.value.problems
    }
    assert places == {
        *("identity.nam", "identity.name", "training.rank", "ollama.system"),
        *("ollama.parameters.top_k", "ollama.parameters.beer"),
    }


@pytest.mark.parametrize("table", ["ollama = 3", "[ollama]\nsystem = 3\nparameters = 3"])
def test_a_table_of_another_type_is_told_once(luma, table):
    """Where `[ollama]` or a key of it is no table or text, nothing else is said of it."""
    manifest = luma / "persona.toml"
    manifest.write_text(f"{table}\n")

    with pytest.raises(ManifestError) as told:
        build_of(luma)

    of_manifest = [problem for problem in told.value.problems if problem.startswith(str(manifest))]
    assert len(of_manifest) == table.count(" = ")


def test_numbers_stay_as_they_were_written(luma):
    """A whole number is served as one, and nothing is served that the manifest does not set."""
    read = write_ollama(luma, 'parameters = { temperature = 0, top_p = 0.5, stop = ["\\n\\n"] }')

    given = read.manifest.ollama.parameters.given
    assert given == {"temperature": 0, "top_p": 0.5, "stop": ["\n\n"]}
    assert type(given["temperature"]) is int
