"""What the page is made of: what stages left, and nothing of an earlier build."""

import json

import pytest

from builder import cli, files, targets, temporaries
from builder.engine import pipeline, stamps
from builder.errors import GateError, NotBuiltError, ToolError
from builder.ollama.registered import Receipt
from builder.report import contents, page
from builder.stages import export, parity, register, smoke, train
from tests.conftest import build_of
from tests.report.pages import Page, make_found, make_receipt, make_refusal


@pytest.fixture
def built(with_rows):
    """A build whose base and rows are real, and whose training and what follows are made up."""
    build = with_rows
    build.adapter.mkdir()
    losses = [3.0, 2.0, 1.0, 0.5]
    files.write_json(build.adapter / "training.json", {"schema": 1, "losses": losses})
    shapes = [{"shape": "one turn", "tokens": 9, "trained_tokens": 9, "same_ids": True}]
    files.write_json(build.parity, {"schema": 1, "shapes": shapes})
    build.gguf.write_text("the file")
    build.modelfile.write_text("FROM ./model.gguf\n")
    make_found().write(build.smoke)
    make_receipt().write(build.receipt)
    settings = {"training.learning_rate": 0.1, "training.warmup_steps": 2}
    stamp(train, build, output="adapter", settings=settings)
    stamp(export, build, output="file")
    stamp(smoke, build, output="found", inputs={"model.gguf": "file"})
    stamp(register, build, output="receipt", inputs={"smoke.json": "found"})
    return build


def make_console():
    from builder.terminal.console import Console

    return Console()


def stamp(stage, build, *, output, inputs=None, settings=None):
    """Write a stamp, as if a stage had run."""
    values = {"version": stage.VERSION, "inputs": inputs or {}, "settings": settings or {}}
    outcome = {"schema": stamps.SCHEMA, "output": output, "summary": "done", "took_s": 3.0}
    files.write_json(stamps.path(build.folder, stage.NAME), {**values, **outcome})


def refuse(build):
    """Leave what a refused examination leaves."""
    found = make_found(gates=[make_refusal()], hello=None)
    found.write(build.refused)
    stamps.note_failure(build.folder, smoke.NAME, str(GateError(*found.problems())))
    return found


def test_a_finished_build_is_gathered(built):
    """Its examination, losses, shapes, receipt, times and Modelfile are those of its stages."""
    gathered = contents.gather(built)

    assert gathered.found == make_found()
    assert (gathered.stop, gathered.is_registered, gathered.is_refused) == (None, True, False)
    assert isinstance(gathered.receipt, Receipt)
    assert gathered.losses == [3.0, 2.0, 1.0, 0.5]
    assert gathered.learning_rates == pytest.approx([0.0, 0.05, 0.1, 0.05])
    assert [shape["shape"] for shape in gathered.shapes] == ["one turn"]
    assert gathered.modelfile == "FROM ./model.gguf\n"
    assert gathered.profile.rows == 4
    assert list(gathered.stamps) == ["base", "data", "train", "export", "smoke", "register"]
    assert gathered.stamps["train"].took_s == 3.0
    assert gathered.stamps["data"].took_s >= 0


def test_the_learning_rate_is_that_of_transformers():
    """The planned rates are those of the schedule that training asks for."""
    import torch
    from transformers import get_linear_schedule_with_warmup

    for steps, warmup_steps in ((20, 5), (20, 0), (3, 5), (1, 1)):
        parameter = torch.nn.Parameter(torch.zeros(1))
        optimiser = torch.optim.SGD([parameter], lr=0.3)
        schedule = get_linear_schedule_with_warmup(optimiser, warmup_steps, steps)
        rates = []
        for _ in range(steps):
            rates.append(schedule.get_last_lr()[0])
            optimiser.step()
            schedule.step()
        assert contents.plan_learning_rates(steps, 0.3, warmup_steps) == pytest.approx(rates)


def test_a_refused_build_is_told_by_the_refused_answers(built):
    """After a refusal the refused file's answers are shown, not those of the last good one."""
    found = refuse(built)
    gathered = contents.gather(built)

    assert gathered.found == found
    assert gathered.is_refused
    assert not gathered.is_registered
    assert page.render(gathered).count("Refused") > 0


def test_another_failure_is_not_told_by_answers_of_an_earlier_refusal(built):
    """Where the examination could not be made, no answers are shown, and its failure is."""
    refuse(built)
    stamps.note_failure(built.folder, smoke.NAME, "smoke: the process was ended by SIGKILL")
    gathered = contents.gather(built)

    assert gathered.found is None
    assert gathered.stop == contents.Stop("smoke", "smoke: the process was ended by SIGKILL")


def test_a_build_that_stopped_says_at_which_stage(built):
    """Of two noted failures the first stage's is the last build's: it did not come to the other."""
    refuse(built)
    stamps.note_failure(built.folder, parity.NAME, "parity: they part\nmore")
    gathered = contents.gather(built)

    assert gathered.stop == contents.Stop("parity", "parity: they part")
    assert not gathered.is_refused
    assert not gathered.is_registered


@pytest.mark.parametrize("stage", [smoke, export])
def test_answers_of_another_file_are_not_shown(built, stage):
    """Once the file is made anew, the answers of the old one are not told as its own."""
    stamp(stage, built, output="another", inputs={"model.gguf": "another"})
    gathered = contents.gather(built)

    assert gathered.found is None
    assert not gathered.is_registered


def test_a_receipt_of_an_earlier_model_is_not_this_one_s(built):
    """Where Ollama was gone this time, the model there is of an earlier build."""
    stamp(smoke, built, output="found again", inputs={"model.gguf": "file"})
    gathered = contents.gather(built)

    assert gathered.receipt is not None
    assert not gathered.is_registered


def test_what_is_not_there_is_left_out(luma):
    """A build of rows alone has a page; without rows there is none; other schemas are not read."""
    build = build_of(luma)
    with pytest.raises(NotBuiltError):
        contents.gather(build)
    pipeline.run(build, targets.ROWS, make_console())
    files.write_json(build.parity, {"schema": 99, "shapes": [{"new": 1}]})
    gathered = contents.gather(build)

    assert (gathered.found, gathered.receipt, gathered.size_bytes) == (None, None, None)
    assert (gathered.losses, gathered.learning_rates, gathered.shapes) == ([], [], [])
    assert "Half built.</strong> <span>There is no model yet: just build luma makes it." in (
        page.render(gathered)
    )


@pytest.mark.parametrize("rate", ["x", [1], None, {}])
def test_a_damaged_rate_or_shape_is_left_out(built, rate):
    """The page is written without them."""
    settings = {"training.learning_rate": rate, "training.warmup_steps": 2}
    stamp(train, built, output="adapter", settings=settings)
    files.write_json(built.parity, {"schema": 1, "shapes": [{}, {"shape": 1}]})

    gathered = contents.gather(built)

    assert (gathered.learning_rates, gathered.shapes) == ([], [])
    assert page.render(gathered)


def test_an_examination_of_another_version_is_an_error(built):
    """A smoke.json that cannot be read is told, not left out."""
    built.smoke.write_text(json.dumps({"schema": 3}))

    with pytest.raises(ToolError, match="expected an examination"):
        contents.gather(built)


def test_the_command_writes_the_page_and_prints_its_path(built, capsys):
    """`report` prints the path alone on stdout, and the page is of what is there now."""
    assert cli.main(["report", "luma"]) == cli.DONE
    printed = capsys.readouterr()
    assert printed.out == "build/luma/report.html\n"
    assert "Passed." in built.report.read_text("utf-8")

    refuse(built)
    assert cli.main(["report", "luma"]) == cli.DONE
    assert "Refused." in built.report.read_text("utf-8")
    assert not [path for path in built.folder.iterdir() if path.name.endswith(temporaries.SUFFIX)]


def test_without_a_build_there_is_no_page(luma, capsys):
    """`report` of what was never built says so, and makes no folder."""
    assert cli.main(["report", "luma"]) == cli.MENDABLE
    assert capsys.readouterr().err == (
        "error: luma: was never built, expected a finished build\nhint: just build luma\n"
    )
    assert not (luma.parent.parent / "build").exists()


def test_what_is_half_built_says_what_to_do(with_rows, capsys):
    """Of rows alone there is a page, and a hint; without them it is said where the build is."""
    assert cli.main(["report", "luma"]) == cli.DONE
    printed = capsys.readouterr()
    assert printed.out == "build/luma/report.html\n"
    assert printed.err == (
        "luma is only partly built, and no gate has judged it: `just build luma` finishes it\n"
    )

    (with_rows.dataset / "profile.json").unlink()
    assert cli.main(["report", "luma"]) == cli.MENDABLE
    never = "error: luma: was never built, expected a finished build\nhint: just build luma\n"
    assert capsys.readouterr().err == never
    (with_rows.folder / ".stamps" / "render.json").touch()
    assert cli.main(["report", "luma"]) == cli.MENDABLE
    half = "error: luma: is half built: {}, expected a finished build\nhint: just build luma\n"
    missing = "dataset/profile.json is not there yet"
    assert capsys.readouterr().err == half.format(missing)
    (with_rows.folder / ".stamps" / "data.failed").write_text("data.jsonl:1: is no row\n")
    assert cli.main(["report", "luma"]) == cli.MENDABLE
    stopped = "its last build stopped at data (data.jsonl:1: is no row)"
    assert capsys.readouterr().err == half.format(stopped)


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_build_ends_with_its_page(built, monkeypatch, capsys, is_refused):
    """A build writes its page and names it, also where a gate stopped it; its end is as without."""

    def run(build, *_others):
        if is_refused:
            raise GateError(*refuse(build).problems())
        return pipeline.Result(has_run=True, skipped=())

    monkeypatch.setattr(pipeline, "run", run)
    code = cli.main(["build", "luma"])
    printed = capsys.readouterr()

    assert code == (cli.MENDABLE if is_refused else cli.DONE)
    assert printed.out == ("" if is_refused else "luma:latest\n")
    assert "\nreport: build/luma/report.html\n" in f"\n{printed.err}"
    assert ("error: stop: 1 of 40 right" in printed.err) is is_refused
    html = built.report.read_text("utf-8")
    assert ("Refused." in html) is is_refused
    Page(html)


@pytest.mark.usefixtures("built")
def test_a_page_that_cannot_be_written_is_no_failure(monkeypatch, capsys):
    """Where the page has no room the build ends as it did, and one line says why there is none."""

    def write(_build):
        raise OSError(28, "No space left on device")

    def run(*_arguments):
        return pipeline.Result(has_run=False, skipped=())

    monkeypatch.setattr(page, "write", write)
    monkeypatch.setattr(pipeline, "run", run)

    assert cli.main(["build", "luma"]) == cli.DONE
    printed = capsys.readouterr()
    assert printed.out == "luma:latest\n"
    assert "no report: [Errno 28] No space left on device\n" in printed.err


def test_the_page_is_a_function_of_the_build(built):
    """What did not change gives the same page, whenever it is written: it holds no date."""
    first = page.write(built).read_bytes()

    assert page.write(built).read_bytes() == first
