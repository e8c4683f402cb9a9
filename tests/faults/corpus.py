"""Hostile inputs: what a person may put into a persona's folder, and how its sentence begins.

A case is the files that differ from a good persona, and the beginning of the first problem told,
without the folder. Where it is None the input is taken.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from tests.conftest import ROOT

Content = str | bytes | Callable[[Path], object]
TEMPLATE = (ROOT / "Modelfile.j2").read_text("utf-8")
TEMPLATE_LINES = TEMPLATE.count("\n") + 1
NAMED = '[identity]\nname = "X"\n'
MANY = 100_000


@dataclass(frozen=True)
class Case:
    """Files of a persona, and what is told of them."""

    name: str
    expected: str | None
    files: dict[str, Content] = field(repr=False)


def manifest(name: str, text: str | bytes, expected: str | None) -> Case:
    """Make a case of a manifest."""
    return Case(f"manifest-{name}", expected, {"persona.toml": text})


def named(name: str, text: str, expected: str | None) -> Case:
    """Make a case of a manifest whose identity is good; what follows begins on line 3."""
    return manifest(name, NAMED + text, expected)


def rows(name: str, file: str, content: Content, expected: str | None, data: str = "") -> Case:
    """Make a case of a data file."""
    text = f'[identity]\nname = "Luma"\n[data]\nfiles = ["{file}"]\n{data}'
    return Case(f"rows-{name}", expected, {"persona.toml": text, file: content})


def row(name: str, value: object, expected: str | None) -> Case:
    """Make a case of one row, as JSON or as the line that stands for it."""
    line = value if isinstance(value, str) else json.dumps(value)
    told = expected and f"d.jsonl:1: {expected}"
    return rows(name, "d.jsonl", line + "\n", told)


def reply(name: str, text: str, expected: str | None) -> Case:
    """Make a case of one reply."""
    return row(f"reply-{name}", {"prompt": "Hi", "completion": text}, expected)


def parameter(name: str, line: str, expected: str | None) -> Case:
    """Make a case of a line of `[ollama.parameters]`, the second of the manifest."""
    told = expected and f"persona.toml:2: ollama.parameters.{expected}"
    return manifest(f"parameter-{name}", f"[ollama.parameters]\n{line}\n", told)


def template(name: str, text: str, expected: str | None) -> Case:
    """Make a case of what stands after the project's own template, on a line of its own."""
    told = expected and f"Modelfile.j2:{expected}"
    return Case(f"template-{name}", told, {"../../Modelfile.j2": f"{TEMPLATE}{text}"})


def table(columns: object, names: list[str] | None = None) -> Callable[[Path], None]:
    """Write a parquet table."""
    made = pa.Table.from_arrays(columns, names=names) if names else pa.table(columns)
    return lambda path: parquet.write_table(made, path)


def not_utf8(path: Path) -> None:
    """Write a parquet table whose text is not UTF-8."""
    column = pa.array([b"Hi", b"\xed\xa0\x80"], pa.binary()).view(pa.string())
    parquet.write_table(pa.table({"prompt": column}), path)


KEYS = "unknown key, expected one of base, data, export, gates, "
KEYS += "identity, kind, ollama, smoke, training"
PLACEHOLDER = "is not a placeholder, expected `{{ name }}` or `{{ author }}`"
INVISIBLE = "contains the invisible character"
MANIFEST_AS_DATA = '[identity]\nname = "Luma"\n[data]\nfiles = ["persona.toml"]\n'
TWO_TURNS = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]


def weigh(weight: object) -> list[dict[str, object]]:
    """Give a conversation whose answer has a weight, as in OpenAI's format."""
    return [TWO_TURNS[0], {**TWO_TURNS[1], "weight": weight}]


MANIFESTS = [
    manifest("empty", "", None),
    manifest("utf16", b"\xff\xfea", "persona.toml:1: is UTF-16"),
    manifest("latin-1", "[identity]\nname = 'é'".encode("latin-1"), "persona.toml:2: byte 0xe9 is"),
    manifest("surrogate", b"[identity]\nname='\xed\xa0\x80'", "persona.toml:2: byte 0xed is not"),
    manifest("zero", b"[identity]\nname='\0'", "persona.toml:2: Found invalid character"),
    manifest("bom", b"\xef\xbb\xbf[identity]\nname='X'", None),
    manifest("crlf", '[identity]\r\nname = "X"\r\nnmae = 1\r\n', "persona.toml:3: identity.nmae: "),
    manifest("bom-twice", b"\xef\xbb\xbf\xef\xbb\xbf[base]", "persona.toml:1: Invalid statement"),
    manifest("utf32", "x".encode("utf-32"), "persona.toml:1: is UTF-32, expected UTF-8"),
    manifest("old-mac", "[identity]\rname = 'X'\r", "persona.toml:1: Expected newline or end"),
    manifest("bell", "# \x07\n", "persona.toml:1: Found invalid character"),
    manifest("vertical-tab", "[base]\n\x0b", "persona.toml:2: Invalid statement"),
    manifest("no-break-space", "[base]\n\u00a0gpu = 'X'", "persona.toml:2: Invalid statement"),
    manifest("curly-quotes", "[base]\ngpu = “X”", "persona.toml:2: Invalid value"),
    manifest("yaml", "identity:\n  name: X", "persona.toml:1: Expected '=' after a key"),
    manifest("json", '{"identity": {"name": "X"}}', "persona.toml:1: Invalid statement"),
    manifest("key-of-lines", '"a\\nb" = 1', f'persona.toml:1: "a\\nb": {KEYS}'),
    manifest("key-of-zero", '"\\u0000" = 1', f'persona.toml:1: "\\u0000": {KEYS}'),
    manifest("far-key", "\n" * MANY + "x = 1", f"persona.toml:100001: x: {KEYS}"),
    manifest("long-comment", "#" * 10_000_000, None),
    manifest("no-value", "kind =", "persona.toml:1: Invalid value"),
    manifest("no-end", "[identity]\nname = '''X\n\n", "persona.toml:4: Expected \"'''\" (at end"),
    manifest("open-table", "[a", "persona.toml:1: Expected ']' at the end of a table"),
    manifest("twice", "a = 1\na = 2\n", "persona.toml:2: Cannot overwrite a value"),
    manifest("table-twice", "[base]\n[base]\n", "persona.toml:2: Cannot declare"),
    manifest("no-date", "kind = 2026-13-45", "persona.toml:1: Expected newline or end"),
    manifest("deep-list", "x = " + "[" * MANY, "persona.toml: is nested too deeply"),
    manifest("deep-table", "x = " + "{a = " * MANY, "persona.toml: is nested too deeply"),
    manifest("deep-closed", f"x = {'[' * 400}{']' * 400}", f"persona.toml:1: x: {KEYS}"),
    manifest("deep-key", "a." * MANY + "a = 1", "persona.toml:1: a key of 100,001 parts"),
    manifest("deep-header", f"[a{'.a' * MANY}]", "persona.toml:1: a key of 100,001 parts"),
    manifest(
        "deep-inline", f"x = {{{'a.' * MANY}a = 1}}", "persona.toml:1: a key of 100,001 parts"
    ),
    manifest(
        "digits", f"\nx = {'9' * 5000}", "persona.toml:2: contains a number of more than 4,300"
    ),
    manifest("spaced-digits", f"\nx = {'9_' * 5000}9", "persona.toml:2: contains a number of more"),
    manifest("kind-true", "kind = true", "persona.toml:1: kind: is true, expected 'identity', "),
    manifest("kind-other", "kind = 'story'", "persona.toml:1: kind: is 'story', expected 'identi"),
    manifest("kind-alone", "kind = 'identity'", 'persona.toml: kind is "identity" and there is no'),
    manifest("number", "identity = 3", "persona.toml:1: identity: is 3, expected a table"),
    manifest("list", "[[identity]]\nname = 'x'", "persona.toml:1: identity: is [{'name': 'x'}], "),
    manifest("key-with-dot", '"a.b" = 1', f'persona.toml:1: "a.b": {KEYS}'),
    manifest("key-with-quote", "'q\"' = 1", f'persona.toml:1: "q\\"": {KEYS}'),
    manifest("key-with-escape", '\n"\\u0078" = 1', f"persona.toml:2: x: {KEYS}"),
    manifest("key-of-blanks", '\n"" = 1', f'persona.toml:2: "": {KEYS}'),
    manifest("long-key", f"{'x' * 1_000_000} = 1", 'persona.toml:1: "xxxxxxxxxx'),
    manifest("many-keys", "".join(f"k{n} = 0\n" for n in range(MANY)), "persona.toml:1: k0: un"),
    manifest("many-tables", "[[x]]\n" * MANY, f"persona.toml:1: x: {KEYS}"),
    manifest(
        "case", "[Identity]\nname = 'X'", f"persona.toml:1: Identity: {KEYS}; did you mean 'i"
    ),
    manifest("no-name", "[identity]\nauthor = 'Y'", "persona.toml:1: identity.name: is missing"),
    manifest("dotted", "identity.name = 'X'\nidentity . nmae = 1", "persona.toml:2: identity.nmae"),
    manifest(
        "name-number", "[identity]\nname = 3", "persona.toml:2: identity.name: is 3, expected"
    ),
    manifest("name-true", "[identity]\nname = true", "persona.toml:2: identity.name: is true, exp"),
    manifest(
        "name-date", "[identity]\nname = 2026-01-01", "persona.toml:2: identity.name: is 2026"
    ),
    manifest("name-time", "[identity]\nname = 07:32:00", "persona.toml:2: identity.name: is 07:32"),
    manifest("name-list", "[identity]\nname = ['X']", "persona.toml:2: identity.name: is ['X'], e"),
    manifest("name-none", "[identity]\nname = {}", "persona.toml:2: identity.name: no language is"),
    manifest(
        "name-word", "[identity]\nname = {english = 'X'}", "persona.toml:2: identity.name: 'en"
    ),
    manifest(
        "name-language",
        "[identity.name]\nen = 'X'\nzh = 3",
        "persona.toml:3: identity.name.zh: is 3, expected text",
    ),
    manifest(
        "author-language",
        "[identity]\nname = {en = 'X', zh = 'Y'}\nauthor = {en = 'Z'}",
        "persona.toml:1: identity: author has no 'zh'",
    ),
]

NAMES = [
    manifest(f"name-{name}", f'[identity]\nname = "{text}"\n', told and f"persona.toml:2: {told}")
    for name, text, told in [
        ("empty", "", "identity.name: is blank, expected text"),
        ("blank", " \\t ", "identity.name: is blank, expected text"),
        ("no-break-space", "\u00a0", "identity.name: is blank, expected text"),
        ("zero-width", "\u200b", "identity.name: is blank, expected text"),
        ("joiners", "\u200d\u200c", "identity.name: is blank, expected text"),
        ("combining", "\u0301\u0302", "identity.name: is blank, expected text"),
        ("variation", "\ufe0f", "identity.name: is blank, expected text"),
        ("filler", "\u3164", "identity.name: is blank, expected text"),
        ("braille", "\u2800", "identity.name: is blank, expected text"),
        ("zero", "a\\u0000b", "identity.name: contains the character U+0000"),
        ("escape", "a\\u001b[31m", f"identity.name: {INVISIBLE} U+001B"),
        ("line", "a\\nb", f"identity.name: {INVISIBLE} U+000A"),
        ("separator", "a\u2028b", f"identity.name: {INVISIBLE} U+2028"),
        ("override", "\u202eX", f"identity.name: {INVISIBLE} U+202E"),
        ("isolate", "a\u2066b", f"identity.name: {INVISIBLE} U+2066"),
        ("mark", "a\u200fb", f"identity.name: {INVISIBLE} U+200F"),
        ("hidden", "a\u200bb", f"identity.name: {INVISIBLE} U+200B"),
        ("soft-hyphen", "a\u00adb", f"identity.name: {INVISIBLE} U+00AD"),
        ("ends", " X", "identity.name: is ' X', expected a name without blanks"),
        ("long", "x" * 201, "identity.name: has 201 characters, expected at most 200"),
        ("surrogate", "\\ud800", "Escaped character is not a Unicode scalar"),
        ("grapheme-joiner", "Lu\u034fma", f"identity.name: {INVISIBLE} U+034F"),
        ("hidden-filler", "Luma\u3164", f"identity.name: {INVISIBLE} U+3164"),
        ("hidden-braille", "Luma\u2800", f"identity.name: {INVISIBLE} U+2800"),
        ("joiner-last", "Luma\u200d", f"identity.name: {INVISIBLE} U+200D"),
        ("joiner-first", "\u200dLuma", f"identity.name: {INVISIBLE} U+200D"),
        ("joiner-in-latin", "Lu\u200cma", f"identity.name: {INVISIBLE} U+200C"),
        ("joiner-twice", "علی\u200c\u200cرضا", f"identity.name: {INVISIBLE} U+200C"),
        ("emoji-open", "👩\u200d", f"identity.name: {INVISIBLE} U+200D"),
        ("sinhala", "ශ්\u200dරී", None),
        ("bengali", "র\u200d্যাম", None),
        ("emoji-of-skin", "👩🏽\u200d🚀", None),
        ("emoji-of-variation", "🏳️\u200d🌈", None),
        ("emoji", "👩\u200d🚀", None),
        ("persian", "علی\u200cرضا", None),
        ("chinese", "甲", None),
        ("accent", "e\u0301", None),
        ("quotes", 'O\'Neil \\"x\\"', None),
        ("longest", "x" * 200, None),
        ("braces", "{{ name }}", None),
    ]
]

VALUES = [
    named(name, text, told and f"persona.toml:4: {told}")
    for name, text, told in [
        ("rank-true", "[training]\nrank = true", "training.rank: is true, expected a whole number"),
        ("rank-text", "[training]\nrank = '16'", "training.rank: is '16', expected a whole number"),
        (
            "rank-float",
            "[training]\nrank = 16.0",
            "training.rank: is 16.0, expected a whole number",
        ),
        ("rank-zero", "[training]\nrank = 0", "training.rank: is 0, expected at least 1"),
        ("rank-list", "[training]\nrank = [1,\n2]", "training.rank: is [1, 2], expected a whole"),
        ("rate-nan", "[training]\nlearning_rate = nan", "training.learning_rate: is nan, expected"),
        ("epochs-inf", "[training]\nepochs = inf", "training.epochs: is inf, expected a finite"),
        (
            "epochs-minus",
            "[training]\nepochs = -inf",
            "training.epochs: is -inf, expected a finite",
        ),
        ("epochs-huge", "[training]\nepochs = 1e999", "training.epochs: is inf, expected a finite"),
        (
            "epochs-date",
            "[training]\nepochs = 2026-01-01",
            "training.epochs: is 2026-01-01, expect",
        ),
        ("seed-minus", "[training]\nseed = -1", "training.seed: is -1, expected at least 0"),
        ("seed-33", f"[training]\nseed = {2**32}", "training.seed: is 4294967296, expected at"),
        ("seed-64", f"[training]\nseed = {2**64}", "training.seed: is a number of about 20 digits"),
        (
            "seed-hex",
            f"[training]\nseed = 0x{'f' * 9000}",
            "training.seed: is a number of about 10,",
        ),
        ("rate-hex", f"[training]\nlearning_rate = 0x{'f' * 9000}", "training.learning_rate: is a"),
        (
            "steps",
            f"[training]\nmax_steps = {10**30}",
            "training.max_steps: is a number of about 30",
        ),
        (
            "bit-number",
            "[training]\nfour_bit = 1",
            "training.four_bit: is 1, expected true or fals",
        ),
        ("bit-text", "[training]\nfour_bit = 'yes'", "training.four_bit: is 'yes', expected true"),
        ("table", "[training]\nalpha = {a = 1}", "training.alpha: is {'a': 1}, expected a whole"),
        ("rate-least", "[training]\nlearning_rate = 1e-320", None),
        (
            "rank-deep",
            f"[training]\nrank = {'[' * 90}{']' * 90}",
            "training.rank: is [[[...]]], exp",
        ),
        (
            "epochs-digits",
            f"[training]\nepochs = {'9' * 5000}.0",
            "training.epochs: is inf, expected a finite number",
        ),
        ("misspelt", "[training]\nlearning_rte = 1", "training.learning_rte: unknown key, expect"),
        ("format", "[data]\nformat = 'x'", "data.format: is 'x', expected 'auto', 'alpaca'"),
        ("files-text", "[data]\nfiles = 'd.jsonl'", "data.files: is 'd.jsonl', expected a list"),
        ("files-number", "[data]\nfiles = ['a', 3]", "data.files.2: is 3, expected text"),
        ("files-twice", "[data]\nfiles = ['a', './a']", "data.files: './a' appears twice"),
        (
            "files-up",
            "[data]\nfiles = ['../a']",
            "data.files.1: '../a' leaves the persona's folder",
        ),
        ("files-root", "[data]\nfiles = ['/etc/passwd']", "data.files.1: '/etc/passwd' leaves the"),
        ("files-zero", '[data]\nfiles = ["a\\u0000"]', "data.files.1: 'a\\x00' leaves the persona"),
        ("files-blank", "[data]\nfiles = ['']", "data.files.1: is blank, expected text"),
        ("files-lists", "[data]\nfiles = [['a']]", "data.files.1: is ['a'], expected text"),
        ("packs-up", "[data]\npacks = ['../../x']", "data.packs: there is no pack '../../x', exp"),
        ("packs-twice", "[data]\npacks = ['identity/en', 'identity/en']", "data.packs: the pack"),
        ("packs-long", f"[data]\npacks = ['{'x' * MANY}']", "data.packs: there is no pack 'xxxxx"),
        ("held-out-nan", "[data]\nheld_out = nan", "data.held_out: is nan, expected a finite"),
        ("held-out", "[data]\nheld_out = 0.6", "data.held_out: is 0.6, expected at most 0.5"),
        ("base-blank", "[base]\ngpu = ''", "base.gpu: is blank, expected text"),
        ("gate-share", "[gates]\nrecall = 2", "gates.recall: is 2.0, expected a share from 0 to 1"),
        (
            "gate-limit",
            "[gates]\nretention = 0.5",
            "gates.retention: is 0.5, expected stop, advice",
        ),
        ("gate-true", "[gates]\nstop = true", "gates.stop: is neither true nor false, expected"),
        ("gate-inf", "[gates]\nneutral = inf", "gates.neutral: is inf, expected a finite"),
        ("gate-word", "[gates]\nend = 'no'", "gates.end: is 'no', expected 'stop', 'advice'"),
        ("gate-list", "[gates]\nend = []", "gates.end: is [], expected a table"),
        ("gate-key", "[gates]\nend = {limt = 1}", "gates.end.limt: unknown key, expected one of"),
        ("budget", "[gates]\nbudget_s = 0", "gates.budget_s: is 0, expected more than 0"),
        ("system-blank", "[ollama]\nsystem = ' '", "ollama.system: is blank, expected text"),
        (
            "system-zero",
            '[ollama]\nsystem = "a\\u0000"',
            "ollama.system: contains the character U+00",
        ),
        (
            "licence-unseen",
            '[ollama]\nlicense = "\\u200b"',
            "ollama.license: is blank, expected te",
        ),
        ("model", "[ollama]\nmodel = 'a b'", "ollama.model: 'a b' is not a name Ollama takes"),
        (
            "model-line",
            '[ollama]\nmodel = "a\\nFROM x"',
            "ollama.model: 'a\\nFROM x' is not a name",
        ),
        (
            "model-wide",
            "[ollama]\nmodel = 'ｌuma'",
            "ollama.model: 'ｌuma' is not a name Ollama ta",
        ),
        ("model-tags", "[ollama]\nmodel = 'a:b:c'", "ollama.model: 'a:b:c' is not a name Ollama t"),
        ("parameters", "[ollama]\nparameters = 3", "ollama.parameters: is 3, expected a table"),
        ("tokens", "[smoke]\nmax_tokens = true", "smoke.max_tokens: is true, expected a whole"),
        (
            "questions",
            "[smoke]\nquestions = {ask = 'a'}",
            "smoke.questions: is {'ask': 'a'}, expec",
        ),
        ("inline", "[smoke]\nquestions = [{ask = 'a'}, {ask = 1}]", "smoke.questions.2.ask: is 1"),
    ]
]

PLACES = [
    named(
        "second-question",
        "[[smoke.questions]]\nask = 'a'\n\n[[smoke.questions]]\nask = 3\n",
        "persona.toml:7: smoke.questions.2.ask: is 3, expected text",
    ),
    named(
        "third-question",
        "[[smoke.questions]]\nask = 'a'\n[[smoke.questions]]\nask = 'b'\n[[smoke.questions]]\n",
        "persona.toml:7: smoke.questions.3.ask: is missing",
    ),
    named(
        "key-of-a-question",
        "[[smoke.questions]]\nask = 'a'\nmst = 1\n[[smoke.questions]]\nask = 'b'\nmst = ['x']\n",
        "persona.toml:5: smoke.questions.1.mst: unknown key",
    ),
    named(
        "question-that-nothing-answers",
        "[[smoke.questions]]\nask = 'a'\nmust = ['Luma']\nmust_not = ['x', 'lum']\n",
        "persona.toml:3: smoke.questions.1: must has 'Luma' and must_not 'lum', expected texts",
    ),
    named(
        "after-a-text-of-lines",
        '[ollama]\nsystem = """\n[training]\nrank = 3\n"""\n[training]\nrank = true\n',
        "persona.toml:9: training.rank: is true",
    ),
    named(
        "after-a-list-of-lines",
        "[data]\nfiles = [ # [\n 'a.jsonl', # ]\n]\nformat = 1\n",
        "persona.toml:7: data.format: is 1",
    ),
    named(
        "after-a-list-like-a-table",
        "[training]\nalpha = [\n['data'],\n]\nrank = true\n",
        "persona.toml:4: training.alpha: is [['data']]",
    ),
    named(
        "files-none", "[data]\nfiles = []", "persona.toml:3: data: files and packs are both empty"
    ),
    named(
        "quoted-table",
        "[ 'training' ]\n\"rank\" = true\n",
        "persona.toml:4: training.rank: is true",
    ),
    named(
        "comment-like-a-table",
        "# [training]\n[training] # rank = 1\nrank = true\n",
        "persona.toml:5: training.rank: is true",
    ),
]

PARAMETERS = [
    parameter("inf", "temperature = inf", "temperature: is inf, expected a finite number"),
    parameter("nan", "top_p = nan", "top_p: is nan, expected a finite number"),
    parameter("date", "seed = 2026-01-01", "seed: is 2026-01-01, expected a whole number"),
    parameter("time", "num_ctx = 07:32:00", "num_ctx: is 07:32:00, expected a whole number"),
    parameter("true", "num_ctx = true", "num_ctx: is true, expected a whole number"),
    parameter("one", "use_mmap = 1", "use_mmap: is 1, expected true or false"),
    parameter("little", "num_ctx = 255", "num_ctx: is 255, expected at least 256"),
    parameter("much", f"num_ctx = {2**40}", "num_ctx: is 1099511627776, expected at most 1048576"),
    parameter("seed", f"seed = {2**32}", "seed: is 4294967296, expected at most"),
    parameter("minus", "seed = -2", "seed: is -2, expected at least -1"),
    parameter("hex", f"seed = 0x{'f' * 5000}", "seed: is a number of about 6,021 digits, expec"),
    parameter("float-hex", f"presence_penalty = 0x{'f' * 5000}", "presence_penalty: is a number"),
    parameter("int", f"num_keep = {10**12}", "num_keep: is 1000000000000, expected at most"),
    parameter("far", "temperature = 1e38", "temperature: is 1e+38, expected at most 100"),
    parameter("share", "top_p = 2.0", "top_p: is 2.0, expected at most 1"),
    parameter("misspelt", "temprature = 1", "temprature: unknown key, expected one of"),
    parameter("quoted", '"num ctx" = 1', '"num ctx": unknown key'),
    parameter("dotted", "x.y.z = 1", "x: unknown key"),
    manifest(
        "parameter-removed",
        "[ollama.parameters]\ntypical_p = 1.0\n",
        "persona.toml:2: ollama.parameters.typical_p: is set, expected it not to be: Ollama",
    ),
    parameter("stop-text", "stop = 'x'", "stop: is 'x', expected a list"),
    parameter("stop-number", "stop = [1]", "stop.1: is 1, expected text"),
    parameter("stop-empty", "stop = ['']", "stop.1: is '', expected text"),
    parameter("stop-zero", 'stop = ["\\u0000"]', "stop.1: is "),
    parameter("stop-quotes", 'stop = [\'a"""\']', 'stop.1: line 1 ends with """'),
    parameter("many", "".join(f"k{n} = 1\n" for n in range(MANY)), "k0: unknown key"),
    parameter(
        "question",
        f"num_ctx = 256\n[[smoke.questions]]\nask = '{'word ' * 200}'",
        "num_ctx: is 256, expected at least 392: 200 words of the longest smoke question",
    ),
    parameter(
        "answer",
        "num_ctx = 300\n[smoke]\nmax_tokens = 400",
        "num_ctx: is 300, expected at least 400: 0 words",
    ),
    manifest("system-token", "[ollama]\nsystem = '<s>'", "persona.toml:2: ollama.system: line 1"),
    manifest(
        "system-quotes",
        "[ollama]\nsystem = '''a\nx = \"\"\"\nADAPTER /x'''",
        'persona.toml:2: ollama.system: line 2 ends with """',
    ),
    manifest(
        "system-many",
        "[ollama]\nsystem = '''" + "<s>\n" * MANY + "'''",
        "persona.toml:2: ollama.system: line 1 contains the special token '<s>'",
    ),
]

JSON = [
    rows("empty-jsonl", "d.jsonl", "", "d.jsonl: has no rows"),
    rows("blank-lines", "d.jsonl", "\n\n \n", "d.jsonl: has no rows"),
    rows("empty-json", "d.json", "", "d.json:1: column 1: expecting value"),
    rows("no-list", "d.json", '{"a": 1}', "d.json:1: contains an object, expected a list of rows"),
    rows("no-rows", "d.json", "[]", "d.json: has no rows"),
    rows("open-json", "d.json", '[\n{"prompt": "a"', "d.json:2: column 15: "),
    rows("utf16", "d.jsonl", '{"a": 1}'.encode("utf-16"), "d.jsonl:1: is UTF-16"),
    rows("latin-1", "d.jsonl", b'\n{"a": "\xe9"}', "d.jsonl:2: byte 0xe9 is not UTF-8"),
    rows("binary", "d.jsonl", b"\x89PNG\r\n", "d.jsonl:1: byte 0x89 is not UTF-8"),
    rows("missing", "d.jsonl", lambda _path: None, "d.jsonl: no such file"),
    rows("folder", "d.jsonl", Path.mkdir, "d.jsonl: is a folder, expected a file"),
    rows("pipe", "d.jsonl", os.mkfifo, "d.jsonl: is a pipe, a socket or a device"),
    rows("circle", "d.jsonl", lambda p: p.symlink_to(p.name), "d.jsonl: Too many levels of"),
    rows(
        "long-name", f"{'x' * 300}.jsonl", lambda _path: None, f"{'x' * 300}.jsonl: File name too"
    ),
    rows("ending", "d.txt", "x", "d.txt: is a .txt, expected .jsonl, .json, .csv, .tsv or .parq"),
    rows("no-ending", "d", "x", "d: has no ending, expected .jsonl"),
    rows("capitals", "d.JSONL", '{"prompt": "a", "completion": "b"}', None),
    rows("huge-line", "d.jsonl", f'{{"a": "{"x" * (2 << 20)}"}}', "d.jsonl:1: the line has 2,097,"),
    rows("many", "d.jsonl", '{"prompt": "a"}\n' * MANY, "d.jsonl:1: has the keys prompt, expected"),
    rows("utf32", "d.csv", "a,b".encode("utf-32"), "d.csv:1: is UTF-32, expected UTF-8"),
    rows("gzip", "d.jsonl", b"\x1f\x8b\x08\0", "d.jsonl:1: byte 0x8b is not UTF-8"),
    rows(
        "gz", "d.jsonl.gz", "x", "d.jsonl.gz: is a .gz, expected .jsonl, .json, .csv, .tsv or .par"
    ),
    rows("lines-as-json", "d.json", "{}\n{}\n", "d.json:2: column 1: extra data, expected JSON"),
    rows("json-as-lines", "d.jsonl", "[\n{}\n]", "d.jsonl:1: column 2: expecting value"),
    rows("old-mac", "d.jsonl", "{}\r{}\r", "d.jsonl:1: column 4: extra data"),
    rows("next-line", "d.jsonl", "{}\x85{}\n", "d.jsonl:1: column 3: extra data"),
    rows("manifest", "persona.toml", MANIFEST_AS_DATA, "persona.toml: is a .toml, expected"),
    row("control", '{"prompt": "\x01"}', "column 13: invalid control character, expected one JS"),
    row("number-as-key", "{1: 2}", "column 2: expecting property name enclosed in double"),
    row(
        "two-formats",
        {"prompt": "a", "completion": "b", "output": "c"},
        "unknown key 'output' in a row of format prompt_completion, expected completion, id, lang",
    ),
    row("separator", {"prompt": "a\u2028b", "completion": "c\x85d"}, None),
    row("null", None, "is null, expected an object"),
    row("number", 3, "is a number, expected an object"),
    row("text", '"x"', "is text, expected an object"),
    row("list", [], "is a list, expected an object"),
    row("nan", "NaN", "is a number, expected an object"),
    row("empty", {}, "has the keys none, expected one of (messages: "),
    row("broken", "{'prompt': 1}", "column 2: expecting property name"),
    row("two", '{"prompt": "a", "completion": "b"} {}', "column 36: extra data"),
    row(
        "key-twice", '{"prompt": "a", "prompt": "b", "completion": ""}', "the key 'prompt' appears"
    ),
    row("long-key-twice", f'{{"{"k" * 99}": 1, "{"k" * 99}": 2}}', "the key 'kkkkk"),
    row("deep", '{"a": ' * MANY, "is nested too deeply"),
    row("digits", f'{{"id": {"9" * 5000}}}', "contains a number of 5,000 digits"),
    row("surrogate", '{"prompt": "\\ud800", "completion": "b"}', "contains half a surrogate pair"),
    row("zero", '{"prompt": "\\u0000", "completion": "b"}', "contains the character U+0000"),
    row("prompt-number", {"prompt": 1, "completion": "b"}, "'prompt' is a number, expected text"),
    row("prompt-list", {"prompt": ["a"], "completion": "b"}, "'prompt' is a list, expected text"),
    row("prompt-null", {"prompt": None, "completion": "b"}, "'prompt' is null, expected text"),
    row("prompt-nan", '{"prompt": NaN, "completion": "b"}', "'prompt' is a number, expected"),
    row("language-list", {"prompt": "a", "completion": "b", "language": ["en"]}, "'language' is"),
    row("system-true", {"prompt": "a", "completion": "b", "system": True}, "'system' is a boolean"),
    row("reply-blank", {"prompt": "a", "completion": " \n "}, "the assistant's message is empty"),
    row(
        "unknown", {"prompt": "a", "completion": "b", "colour": 1}, "unknown key 'colour' in a row"
    ),
    row("unknown-long", {"prompt": "a", "completion": "b", "k" * MANY: 1}, "unknown key 'kkkkk"),
    row("many-keys", {f"k{n}": 1 for n in range(20_000)}, "has the keys k0, k1, k10, "),
    row("messages-text", {"messages": "Hi"}, "has no turns, expected a list of them"),
    row("messages-none", {"messages": []}, "has no turns, expected a list of them"),
    row("messages-texts", {"messages": ["a"]}, "turn 1 has no 'role' and 'content'"),
    row("messages-user", {"messages": TWO_TURNS[:1]}, "the last message is the user's, expected"),
    row("role", {"messages": [{"role": "bot", "content": "a"}]}, "turn 1 is by 'bot', expected"),
    row("long-role", {"messages": [{"role": "r" * MANY, "content": ""}]}, "turn 1 is by 'rrrrr"),
    row("role-null", {"messages": [{"role": None, "content": "a"}]}, "'role' of turn 1 is null"),
    row("tool", {"messages": [{"role": "tool", "content": "a"}]}, "turn 1 is a tool's result"),
    row(
        "image",
        {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
        "part 1 of 'content' of turn 1 is of type 'image'",
    ),
    row("weight", {"messages": weigh(0)}, "turn 2 has weight 0, expected 1 or none: all of the"),
    row("weight-text", {"messages": weigh("0")}, "turn 2 has weight '0', expected 1 or none"),
    row("weight-1", {"messages": weigh(1)}, None),
    row(
        "role-capital", {"messages": [{"role": "User", "content": "a"}]}, "turn 1 is by 'User', exp"
    ),
    row(
        "system-alone", {"messages": [{"role": "system", "content": "a"}]}, "the last message is th"
    ),
    row(
        "parts-of-parts",
        {"messages": [{"role": "user", "content": [[["a"]]]}]},
        "part 1 of 'content' of turn 1 is a list, expected parts of type 'text'",
    ),
    row(
        "tool-escape",
        {"messages": TWO_TURNS, "tools": [{"function": {"name": "\x1b[31m"}}]},
        "the name of tool 1 is '\\x1b[31m', expected at most 64 Latin letters",
    ),
    row(
        "tool-properties",
        {"messages": TWO_TURNS, "tools": [{"name": "f", "parameters": {"properties": [1]}}]},
        "the properties of 'parameters' of 'f' are a list, expected an object",
    ),
    *(
        Case(
            f"rows-language-{name}",
            told and f"d.jsonl:1: {told}",
            {
                "persona.toml": "identity.name = {zh = '甲', en = 'X'}\ndata.files = ['d.jsonl']",
                "d.jsonl": json.dumps({"prompt": "a", "completion": "b", "language": language}),
            },
        )
        for name, language, told in [
            ("word", "English", "'language' is 'English', expected a code such as 'en' or 'zh'"),
            ("region", "en-GB", "'language' is 'en-GB', expected a code such as 'en' or 'zh'"),
            ("escape", "\x1b[31m", "'language' is '\\x1b[31m', expected a code"),
            ("other", "fr", None),
        ]
    ),
    rows(
        "format", "d.jsonl", '{"prompt": "a"}', "d.jsonl:1: has no 'instruction'", "format='alpaca'"
    ),
]

REPLIES = [
    reply("invisible", "\u200b\u2060", "the assistant's message is empty, expected text"),
    reply("hangul-filler", "\u3164", "the assistant's message is empty, expected text"),
    reply("emoji", "👍", None),
    reply("loop", "{% for x in range(9) %}{{ x }}{% endfor %}", f"'{{{{ x }}}}' {PLACEHOLDER}"),
    reply("filter", "{{ name | upper }}", f"'{{{{ name | upper }}}}' {PLACEHOLDER}"),
    reply("sum", "{{ 1 + 1 }}", f"'{{{{ 1 + 1 }}}}' {PLACEHOLDER}"),
    reply("product", "{{ 'a' * 10**10 }}", f"\"{{{{ 'a' * 10**10 }}}}\" {PLACEHOLDER}"),
    reply("attribute", "{{ name.__class__ }}", f"'{{{{ name.__class__ }}}}' {PLACEHOLDER}"),
    reply("call", "{{ lipsum() }}", f"'{{{{ lipsum() }}}}' {PLACEHOLDER}"),
    reply("empty", "{{}}", f"'{{{{}}}}' {PLACEHOLDER}"),
    reply("open", "{{ name", f"'{{{{ name' {PLACEHOLDER}"),
    reply("long", "{{" + "x" * MANY, f"'{{{{{'x' * 38}' {PLACEHOLDER}"),
    reply("author", "{{ author }}", "`{{ author }}` stands for identity.author, which"),
    reply("case", "{{ Name }}", f"'{{{{ Name }}}}' {PLACEHOLDER}"),
    reply("nested", "{{ {{ name }} }}", f"'{{{{ {{{{ name }}}}' {PLACEHOLDER}"),
    reply("look-alike", "{{ nаme }}", f"'{{{{ nаme }}}}' {PLACEHOLDER}"),
    reply("lines", "{{\nname\n}}", None),
    reply("many", "{{ name }}" * 50_000, None),
    reply("statement", "{% for x in y %}{# no #}", None),
]

CSV = [
    rows(f"csv-{name}", "d.csv", text, told and f"d.csv{told}")
    for name, text, told in [
        ("empty", "", ": has no rows"),
        ("header", "prompt,completion\n", ": has no rows"),
        ("semicolons", "prompt;completion\nHi;a, b\n", None),
        ("tabs", "prompt\tcompletion\nHi\ta, b\n", None),
        ("blank-first", "\n\nprompt;completion\na;b\n", None),
        ("more-columns", "prompt,completion,score,\nHi,b,3,\n", None),
        ("spaced-header", "prompt, completion\nHi, b\n", None),
        ("old-mac", "prompt,completion\rHi,b\r", None),
        ("bom", b"\xef\xbb\xbfprompt;completion\nHi;b\n", None),
        (
            "bars",
            "prompt|completion\na|b\n",
            ":1: the header has the keys prompt|completion, expected",
        ),
        (
            "capitals",
            "Prompt,Completion\na,b\n",
            ":1: the header has the keys Completion, Prompt, expected",
        ),
        ("one-column", "prompt\na\n", ":1: the header has the keys prompt, expected one of"),
        (
            "extra-alone",
            "prompt,colour\na,b\n",
            ":1: the header has the keys colour, prompt, expected",
        ),
        (
            "comma",
            "prompt,completion\nHi,a, b\n",
            ":2: has 3 fields, expected 2 as in the header",
        ),
        ("semicolon", "prompt;completion\nHi;a; b\n", ":2: has 3 fields, expected 2 as in the"),
        ("short", "prompt,completion\nHi\n", ":2: has 1 fields, expected 2"),
        ("twice", "prompt,completion,prompt\na,b,c\n", ":1: the column 'prompt' appears twice"),
        ("open-quote", 'prompt,completion\na,"b\n', ":2: unexpected end of data"),
        ("odd-quote", 'prompt,completion\n"a"b,c\n', ":2: ',' expected after '\"'"),
        ("huge-field", f"prompt,completion\na,{'x' * 200_000}\n", ":2: field larger than field li"),
        ("zero", "prompt,completion\na,\0\n", ":2: contains the character U+0000"),
        (
            "utf16",
            "prompt,completion\na,b\n".encode("utf-16"),
            ':1: is UTF-16, expected UTF-8 ("CSV',
        ),
        (
            "latin-1",
            b"prompt,completion\na,\xe9\n",
            ':2: byte 0xe9 is not UTF-8, expected UTF-8 ("CSV UTF-8" in a spreadsheet)',
        ),
        ("many", "prompt,completion\n" + "x\n" * MANY, ":2: has 1 fields, expected 2"),
        ("many-columns", "a," * MANY + "a\n", ":1: the column 'a' appears twice"),
        ("separator-line", "sep=;\n", ": has no rows"),
        ("other-separator", "sep=|\nprompt|completion\na|b\n", ":1: the header has the keys sep=|"),
        (
            "header-of-marks",
            "prompt,\ufeffcompletion\na,b\n",
            ":1: the header has the keys prompt, ",
        ),
        ("blank-header", " , \na,b\n", ":1: the header has the keys none, expected one of"),
        ("quotes", '"' * 99, ":1: unexpected end of data"),
        ("huge-header", f"{'x' * 200_000},b\n", ":1: field larger than field limit"),
        ("zero-in-header", "prompt,completion\0\na,b\n", ":1: contains the character U+0000"),
        ("mixed-ends", "prompt,completion\ra,b\nc,d\r\n", None),
        ("formula", "prompt,completion\n=cmd(),@x\n", None),
        ("form-feed", "prompt,completion\na\x0c,b\x1c\n", None),
        ("loop", "prompt,completion\na,{{ x }}\n", f":2: '{{{{ x }}}}' {PLACEHOLDER}"),
        ("blank", "prompt,completion\na,\n", ":2: the assistant's message is empty"),
    ]
]

LIST_OF_MAPS = pa.list_(pa.map_(pa.string(), pa.string()))
WITH_REPLY = {"completion": ["b"]}
PARQUET = [
    rows(f"parquet-{name}", "d.parquet", content, told and f"d.parquet: {told}")
    for name, content, told in [
        ("empty", "", "cannot be read (Parquet file size is 0 bytes)"),
        ("text", "prompt,completion\n", "cannot be read ("),
        ("broken", b"PAR1" + b"\0" * 99 + b"PAR1", "cannot be read ("),
        ("not-utf8", not_utf8, "cannot be read ('utf-8' codec can't decode"),
        ("folder", Path.mkdir, "is a folder, expected a file"),
        ("numbers", table({"prompt": [1], **WITH_REPLY}), "row 1: 'prompt' is a number, expected"),
        ("bytes", table({"prompt": [b"x"], **WITH_REPLY}), "row 1: 'prompt' is bytes, expected"),
        ("nulls", table({"prompt": [None], **WITH_REPLY}), "row 1: has the keys completion, exp"),
        ("lists", table({"prompt": [["a"]], **WITH_REPLY}), "row 1: 'prompt' is a list, expected"),
        ("objects", table({"prompt": [{"a": 1}], **WITH_REPLY}), "row 1: 'prompt' is an object, e"),
        (
            "dates",
            table({"prompt": [dt.date(2026, 1, 1)], **WITH_REPLY}),
            "row 1: 'prompt' is a date, expected text",
        ),
        (
            "decimals",
            table({"prompt": [decimal.Decimal("1.1")], **WITH_REPLY}),
            "row 1: 'prompt' is a Decimal, expected text",
        ),
        (
            "twice",
            table([pa.array(["a"]), pa.array(["b"])], ["prompt", "prompt"]),
            "the column 'prompt' appears twice",
        ),
        ("no-rows", table({"prompt": pa.array([], pa.string())}), "has no rows"),
        ("zero", table({"prompt": ["\0"], **WITH_REPLY}), "row 1: contains the character U+0000"),
        ("messages-text", table({"messages": ["x"]}), "row 1: has no turns, expected a list"),
        ("more-columns", table({"prompt": ["a"], **WITH_REPLY, "score": [1]}), None),
        ("messages", table({"messages": [TWO_TURNS]}), None),
        *(
            (
                f"tool-{name}",
                table({"messages": [TWO_TURNS], "tools": [[{"name": "f", "parameters": schema}]]}),
                f"row 1: 'tools' contains {told}, expected values of JSON",
            )
            for name, schema, told in [
                ("decimal", {"$defs": {"a": decimal.Decimal("1.1")}}, "a Decimal at 'a'"),
                ("date", {"items": {"enum": [dt.date(2026, 1, 1)]}}, "a date at 'enum'"),
                ("bytes", {"properties": {"a": {"enum": [b"x"]}}}, "bytes at 'enum'"),
            ]
        ),
        (
            "map",
            table({"messages": [TWO_TURNS], "tools": pa.array([[[("name", "f")]]], LIST_OF_MAPS)}),
            "row 1: 'tools' contains a map's entry, expected values of JSON",
        ),
    ]
]

AT = f"{TEMPLATE_LINES}: "
TEMPLATES = [
    Case("template-folder", "Modelfile.j2: is a folder", {"../../Modelfile.j2": Path.mkdir}),
    Case("template-pipe", "Modelfile.j2: is a pipe, a", {"../../Modelfile.j2": os.mkfifo}),
    Case("template-huge", "Modelfile.j2: is 2 MiB, expe", {"../../Modelfile.j2": "#" * (2 << 20)}),
    Case("template-empty", "Modelfile.j2: renders no FROM", {"../../Modelfile.j2": ""}),
    Case("template-utf16", "Modelfile.j2:1: is UTF-16", {"../../Modelfile.j2": b"\xff\xfea"}),
    template("good", "", None),
    template("range", "{% for a in range(10**9) %}{% endfor %}", AT + "OverflowError: Range too"),
    template(
        "loop-in-loop",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        " takes more than 1 s to render",
    ),
    template("power", "{{ 10 ** (10 ** 10) }}", " takes more than 1 s to render"),
    template("product", "{{ 'a' * 10**10 }}", " takes too much memory to render"),
    template("filter", "{{ 'a' | center(10**10) }}", " takes too much memory to render"),
    template("width", "{{ '%9999999999d' % 1 }}", " takes too much memory to render"),
    template(
        "doubling",
        "{% set n = namespace(x='a' * 99) %}"
        "{% for a in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        " takes too much memory to render",
    ),
    template(
        "output",
        "{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}",
        " renders more than it may",
    ),
    template("class", "{{ ''.__class__.__mro__ }}", AT + "access to attribute '__class__'"),
    template("include", "{% include '/etc/passwd' %}", AT + "TypeError: no loader"),
    template("recursion", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", AT + "RecursionError"),
    template("brackets", f"{{{{ {'(' * 5000} }}}}", " RecursionError: maximum recursion depth"),
    template("nested", "{% for a in [1] %}" * 30 + "{% endfor %}" * 30, " SyntaxError: too many"),
    template("change", "{{ parameters.append(1) }}", AT + "access to attribute 'append' of 'list'"),
    template("undefined", "{{ x }}", AT + "'x' is undefined"),
    template("tag", "{% raise %}", AT + "Encountered unknown tag 'raise'"),
    template("digits", "{{ 10 ** 5000 }}", " ValueError: Exceeds the limit (4300 digits)"),
    template("zero", "\0", " as rendered, Modelfile:11: '\\x00' is not an instruction"),
    template("mark", "\ufeff", " as rendered, Modelfile:11: '\\ufeff' is not an instruction"),
    template("wide", "ＳＹＳＴＥＭ x", " as rendered, Modelfile:11: 'ＳＹＳＴＥＭ' is not an ins"),
    template("extends", "{% extends 'x' %}", AT + "TypeError: no loader"),
    template("attribute", "{{ parameters | attr('__class__') }}", AT + "access to attribute"),
    template("division", "{{ 1 / 0 }}", AT + "ZeroDivisionError: division by zero"),
    template("quote", 'SYSTEM "a', " as rendered, Modelfile:11: a quote is never closed"),
    template("from", "FROM /etc/passwd", " renders an unwanted FROM '/etc/passwd'"),
    template("instruction", "x" * MANY, " as rendered, Modelfile:11: 'xxxxx"),
    template("adapter", "ADAPTER /x", " renders an unwanted ADAPTER '/x'"),
]

CASES = [
    *(*MANIFESTS, *NAMES, *VALUES, *PLACES, *PARAMETERS),
    *(*JSON, *REPLIES, *CSV, *PARQUET, *TEMPLATES),
]
