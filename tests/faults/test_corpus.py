"""Whatever a person puts into a persona's folder, it is taken or told in a sentence."""

import os

import pytest

from builder import persona, sandbox
from builder.data import rows
from builder.errors import PersonaError
from builder.ollama import modelfile
from builder.terminal.console import DETAIL, SHOWN_PROBLEMS
from tests.faults.corpus import CASES

LONGEST_SENTENCE = 800


def check(folder):
    """Check all of a persona, as a build does before its first stage."""
    read = persona.read(folder)
    rows.read(read.data_files, read.manifest.data, read.manifest.identity)
    modelfile.check(read, folder.parent.parent / "Modelfile.j2")


def write(folder, files):
    """Write the files of a case over those of a good persona."""
    for name, content in files.items():
        path = folder / name
        if callable(content):
            if os.path.lexists(path):
                path.unlink()
            content(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.timeout(120)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mistake_is_a_sentence(luma, monkeypatch, case):
    """Each hostile input ends in an error a person can mend, of a few lines, or is taken."""
    # Small enough that a template meets the one limit long before the other.
    monkeypatch.setattr(sandbox, "MOST_CPU_S", 1)
    monkeypatch.setattr(sandbox, "MOST_MEMORY_BYTES", 256 << 20)
    (luma / "data.jsonl").write_text('{"prompt": "Hi", "completion": "Hello."}\n')
    write(luma, case.files)

    if case.expected is None:
        check(luma)
        return
    with pytest.raises(PersonaError) as told:
        check(luma)

    sentences = [problem.replace(f"{luma}/", "") for problem in told.value.problems]
    first = sentences[0].replace(f"{luma.parent.parent}/", "")
    assert first.startswith(case.expected)
    assert sum(not sentence.startswith(DETAIL) for sentence in sentences) <= SHOWN_PROBLEMS
    assert max(map(len, sentences)) < LONGEST_SENTENCE
    assert not any("Error(" in sentence or "\n" in sentence for sentence in sentences)


def test_names_of_cases_are_their_own():
    """No two cases have one name, and there are many."""
    names = [case.name for case in CASES]

    assert len(set(names)) == len(names) > 120
