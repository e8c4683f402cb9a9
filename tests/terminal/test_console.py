"""What a person sees of a stage that runs."""

import logging
import re

import pytest

from builder import progress
from builder.errors import PersonaError
from builder.escapes import escape
from builder.terminal.console import Console
from tests.forks import run_python
from tests.pseudoterminal import ESCAPE_SEQUENCE, draw, frames_of

STAGE = """
import logging, time
from builder import progress
from builder.terminal.console import Console

console = Console(line_every_s=0.5)
log = logging.getLogger("builder")
log.addHandler(console)
log.setLevel(logging.INFO)
console.started("train", ["never built"])
progress.report("loading Unsloth", 0, 0, "")
time.sleep(0.3)
for step in range(1, 61):
    progress.report("train", step, 100, "steps")
    time.sleep(0.03)
log.info("a [bold]note[/bold]")
console.done("train", 3.0, "loss 0.00")
console.result("luma:latest")
console.close()
"""


@pytest.fixture
def reported(capsys):
    """A function that reports progress to a console without a terminal, and gives its lines."""
    log = logging.getLogger("builder")

    def report(console):
        log.addHandler(console)
        log.setLevel(logging.INFO)
        try:
            console.started("train", ["never built"])
            progress.report("loading Unsloth", 0, 0, "")
            progress.report("train", 120, 541, "steps")
            progress.report("train", 541, 541, "steps")
        finally:
            log.removeHandler(console)
        return [line.rstrip() for line in capsys.readouterr().err.splitlines()]

    return report


SAMPLED = """
import logging
from builder import progress
from builder.progress import Sample, Training
from builder.terminal.console import Console

console = Console()
log = logging.getLogger("builder")
log.addHandler(console)
log.setLevel(logging.INFO)
console.started("train", ["never built"])
answer = "I am\\n[b]Luma[/b]\\x1b[2J, made by Ana"
sample = Sample(question="Who are you?", answer=answer, ended=False)
progress.report("trains", 270, 540, "steps", Training(epoch=1, epochs=4, sample=sample))
console.done("train", 3.0, "loss 0.00")
console.close()
"""
SAMPLE = 'at step 270 of 540: "Who are you?" → "I am\\n[b]Luma[/b]\\x1b[2J, made by Ana ..."'


def test_a_sample_is_one_line(tmp_path):
    """On a terminal and in a log, over the bar, whatever control characters it holds."""
    frames = frames_of(draw(SAMPLED, 120))
    logged = run_python("-c", SAMPLED, cwd=tmp_path).stderr

    assert frames.count(SAMPLE) == 1
    assert f"  {SAMPLE}\n" in logged


@pytest.mark.parametrize(("columns", "shown"), [(60, '…" → "I am'), (34, '"Who are y')])
def test_a_sample_is_cut_to_the_terminal(columns, shown):
    """The line is no longer than the terminal is wide, and a question leaves room for an answer."""
    code = SAMPLED.replace("Who are you?", "Who are you, and where do you come from?")
    written = ESCAPE_SEQUENCE.sub("", draw(code, columns))
    (line,) = (line for line in re.split(r"[\r\n]+", written) if "at step" in line)

    assert len(line) <= columns
    assert line.endswith("…")
    assert shown in line


def test_a_sample_is_plain_where_there_are_no_symbols(tmp_path):
    """In a locale without UTF-8 the arrow is of two characters; with --quiet there is no line."""
    quiet = SAMPLED.replace("log =", 'console.detail = "quiet"\nlog =')
    told, untold = (
        run_python("-c", code, cwd=tmp_path, PYTHONIOENCODING="ascii") for code in (SAMPLED, quiet)
    )

    assert (told.returncode, untold.returncode) == (0, 0)
    assert told.stderr.count('"Who are you?" -> "I am') == 1
    assert '"Who are you?"' not in untold.stderr


def test_without_a_terminal_a_line_now_and_then_tells_how_far_it_is(reported):
    """A log of a long build shows what is done of how much; neither name nor end comes twice."""
    assert reported(Console(line_every_s=0)) == [
        "train     never built",
        "train     loading Unsloth",
        "train     120/541 steps",
    ]


def test_without_a_terminal_progress_is_told_seldom(reported):
    """What is over within ten seconds leaves no line of progress in a log."""
    assert reported(Console()) == ["train     never built"]


def test_a_terminal_shows_a_bar():
    """A spinner, the work, a bar, done of total, and the time left; gone when the stage is done."""
    written = draw(STAGE, 100)
    frames = frames_of(written)

    assert "train     never built" in frames
    assert any(re.fullmatch(r"[⠀-⣿] loading Unsloth [━╸╺ ]+.*", frame) for frame in frames)
    bars = [frame for frame in frames if re.match(r"[⠀-⣿] train +[━╸╺ ]{24} \d+/100 steps ", frame)]
    assert len(bars) > 3
    assert any(re.search(r"steps 00:0\d$", frame) for frame in bars)
    assert "train     a [bold]note[/bold]" in frames
    assert "\x1b[2K" in written[written.rindex("/100 steps") : written.rindex("done in")]
    assert frames[-3:] == ["train     done in 3s       loss 0.00", "luma:latest", ""]


def test_a_bar_fits_into_twenty_columns():
    """On a narrow terminal no frame of the bar is longer than a line, and the count is there."""
    frames = [frame for frame in frames_of(draw(STAGE, 20)) if re.match("[⠀-⣿]", frame)]

    assert any(re.search(r"train \d+/100", frame) for frame in frames)
    assert max(map(len, frames)) <= 20


@pytest.mark.parametrize(
    ("environment", "pattern"),
    [({"NO_COLOR": "1"}, r"\x1b\[[0-9;]*3[0-9]m|\x1b\[38"), ({"TERM": "dumb"}, "\x1b|⠋|━")],
    ids=["NO_COLOR", "dumb"],
)
def test_no_colours_where_none_are_wanted(environment, pattern):
    """NO_COLOR keeps the bar without its colours; a dumb terminal gets lines without escapes."""
    assert re.search(pattern, draw(STAGE, 100))
    written = draw(STAGE, 100, **environment)

    assert not re.search(pattern, written)
    assert re.search(r"train +(━.*)?\d+/100 steps", ESCAPE_SEQUENCE.sub("", written))


def test_forced_colours_draw_no_bar_in_a_file(tmp_path):
    """FORCE_COLOR, which continuous integration sets, colours lines and puts no bar into a log."""
    done = run_python("-c", STAGE, cwd=tmp_path, FORCE_COLOR="1")

    assert done.returncode == 0
    assert "\x1b[" in done.stderr
    assert "━" not in done.stderr


def test_text_from_outside_forges_no_line(capsys):
    """Newlines and terminal sequences are escaped wherever a text is shown; letters are not."""
    console = Console()
    evil = "a\nerror: b\x1b[2J\r\x9b\u2028\u202e\ud800é你👩\u200d🔬"
    shown = r"a\nerror: b\x1b[2J\r\x9b\u2028\u202e\ud800é你" + "👩\u200d🔬"
    assert escape(evil) == shown
    console.error(PersonaError(evil, hint=evil))
    console.notes([evil])
    console.line(evil, evil, evil)
    console.verdict("base", evil, "")
    printed = capsys.readouterr()

    assert len(printed.err.splitlines()) == 4
    assert printed.err.splitlines()[:3] == [f"error: {shown}", f"hint: {shown}", shown]
    assert printed.out.splitlines() == [f"base      {shown}"]


def test_at_most_twenty_mistakes_are_shown(capsys):
    """Of many mistakes twenty are shown, details with their own, and how many more there are."""
    details = [text for n in range(33) for text in (f"row {n}: is wrong", f"  fix: mend row {n}")]
    Console().error(PersonaError(*details, hint="mend them"))
    lines = capsys.readouterr().err.splitlines()

    assert lines[39:] == ["error:   fix: mend row 19", "and 13 more", "hint: mend them"]
    Console().error(PersonaError(*(f"row {n}" for n in range(20))))
    assert "more" not in capsys.readouterr().err
