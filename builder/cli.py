"""The command line: parse, dispatch, and the only place where an error becomes an exit code."""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any, cast

from builder import files, persona
from builder.console import Console
from builder.engine import pipeline
from builder.engine.stage import Job, Options, Stage, run_in_child
from builder.errors import ManifestError, PersonaError, ToolError

DONE, MENDABLE, USAGE, BUG, INTERRUPTED = 0, 1, 2, 3, 130
ROOT = Path()
CRASH_LOG = Path("build") / "crash.log"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code."""
    options = _parser().parse_args(arguments)
    console = Console()
    log = logging.getLogger("builder")
    log.addHandler(console)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        return int(options.run(options, console))
    except PersonaError as error:
        console.error(error)
        return MENDABLE
    except KeyboardInterrupt:
        console.error(PersonaError("interrupted; what was finished is kept"))
        return INTERRUPTED
    except BrokenPipeError:
        return DONE
    except Exception as error:  # noqa: BLE001 — the boundary: everything else is a bug
        CRASH_LOG.parent.mkdir(exist_ok=True)
        CRASH_LOG.write_text(
            f"persona {' '.join(sys.argv[1:])}\nPython {sys.version}\n\n{traceback.format_exc()}"
        )
        console.error(
            PersonaError(
                f"a bug: {type(error).__name__}: {str(error).splitlines()[-1] if str(error) else ''}",
                hint=f"report it with {CRASH_LOG}",
            )
        )
        return BUG
    finally:
        log.removeHandler(console)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="persona", description="Build personas into Ollama models.", allow_abbrev=False
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Any, summary: str, names: str | None) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        command.set_defaults(run=run)
        if names:
            command.add_argument(
                "names" if names == "*" else "name",
                nargs="*" if names == "*" else None,
                metavar="NAME",
                help="a folder in personas/",
            )
        return command

    build = add("build", _build, "Build personas; only what is stale runs.", "*")
    build.add_argument(
        "--base", metavar="gpu|cpu|REPO", help="grow from this base, and remember it"
    )
    build.add_argument(
        "--allow-remote",
        action="store_true",
        help="register with a daemon that is not on this machine",
    )
    build.add_argument(
        "--replace",
        action="store_true",
        help="replace a model of that name that this build did not register",
    )
    build.add_argument(
        "--anyway",
        action="store_true",
        help="register it although a gate fails; the receipt says so",
    )
    build.add_argument("--discard", action="store_true", help="discard outputs edited by hand")
    why = add("why", _why, "Say which stages would run, and why.", "one")
    why.add_argument("--json", action="store_true", help="print one JSON object")
    listing = add("list", _list, "List the personas.", None)
    listing.add_argument("--json", action="store_true", help="print one JSON list")
    show = add("show", _show, "Show what is trained on, in colour.", "one")
    show.add_argument("row", nargs="?", type=int, metavar="ROW", help="one row, counted from 1")
    chat = add("chat", _chat, "Talk to the built file, without Ollama.", "one")
    chat.add_argument("question", nargs="?", help="ask once and stop")
    gates = add("gates", _gates, "Ask the built file the gates' whole table.", "one")
    gates.add_argument("--json", action="store_true", help="print the examination as JSON")
    add("clean", _clean, "Delete a persona's build.", "*")
    return parser


def _name_of(typed: str) -> str:
    """Read NAME, or personas/NAME as a shell completes it, as the name of a folder in personas/.

    Raises:
        ManifestError: It is another path, or no persona's name.

    """
    name = typed.rstrip("/").removeprefix("personas/")
    if "/" in name:
        msg = f"{typed!r:.60} is a path, expected the name of a folder in personas/"
        raise ManifestError(msg)
    return persona.check_name(name)


def _job(typed: str, options: argparse.Namespace) -> Job:
    name = _name_of(typed)
    read = persona.read(ROOT / "personas" / name)
    flags = {
        key: getattr(options, key) for key in Options.__dataclass_fields__ if hasattr(options, key)
    }
    return Job(read, ROOT / "build" / name, ROOT / "Modelfile.j2", Options(**flags))


def _build(options: argparse.Namespace, console: Console) -> int:
    if not options.names:
        console.notes(["usage: just build NAME...", "the personas here are:"])
        return _list(argparse.Namespace(json=False), console)
    failed = []
    for name in options.names:
        if len(options.names) > 1:
            console.notes([f"── {name}"])
        try:
            job = _job(name, options)
            result, has_run = pipeline.build(job, console)
        except PersonaError as error:
            console.error(error)
            failed.append(name)
            continue
        if has_run:
            from builder import summary  # noqa: PLC0415 — imports numpy

            console.notes(summary.summarize(job, result))
        if result.endswith("Modelfile"):
            console.notes(_without_ollama(_name_of(name)))
        print(result, flush=True)  # noqa: T201 — the result
    if failed and len(options.names) > 1:
        console.notes([f"failed: {', '.join(failed)}"])
    return MENDABLE if failed else DONE


def _without_ollama(name: str) -> list[str]:
    return [
        f"{name} is built, but no Ollama is installed here to serve it.",
        f"Talk to it now: just chat {name}. Get Ollama at ollama.com/download, or with `just ollama`, then build again.",
    ]


def _why(options: argparse.Namespace, console: Console) -> int:
    verdicts = pipeline.plan(_job(options.name, options))
    if options.json:
        print(
            json.dumps({verdict.stage: verdict.reasons for verdict in verdicts}, ensure_ascii=False)
        )
        return DONE
    for verdict in verdicts:
        console.verdict(verdict.stage, verdict.reasons, verdict.summary)
    return DONE


def _list(options: argparse.Namespace, console: Console) -> int:
    names = persona.find(ROOT / "personas")
    del console
    lines = [name + _let_through(name) for name in names]
    print(json.dumps(names) if options.json else "\n".join(lines))  # noqa: T201
    return DONE


def _let_through(name: str) -> str:
    """Say which failed gates a registered model was let through by hand."""
    receipt = files.read_json(ROOT / "build" / name / "registered.json")
    gates = receipt.get("let_through") if isinstance(receipt, dict) else None
    return f"\tlet through by --anyway: {', '.join(gates)}" if gates else ""


def _show(options: argparse.Namespace, console: Console) -> int:
    from builder import views  # noqa: PLC0415 — loads a tokenizer

    job = _job(options.name, options)
    if any(verdict.reasons for verdict in pipeline.plan(job, pipeline.PREPARATION)):
        pipeline.build(job, console, pipeline.PREPARATION)
    views.show(job, options.row, console)
    return DONE


def _chat(options: argparse.Namespace, console: Console) -> int:
    from builder import chat  # noqa: PLC0415 — loads llama.cpp

    job = _job(options.name, options)
    if not job.gguf.exists():
        msg = f"{job.gguf}: is not there, expected a finished build"
        raise ToolError(msg, hint=f"just build {job.persona.name}")
    chat.talk(job, options.question, console)
    return DONE


def _gates(options: argparse.Namespace, console: Console) -> int:
    from builder import views  # noqa: PLC0415 — rich's tables
    from builder.evaluation import report  # noqa: PLC0415 — imports numpy
    from builder.stages import gates  # noqa: PLC0415 — likewise

    job = _job(options.name, options)
    if not job.gguf.exists() or not job.reference.exists():
        msg = f"{job.gguf}: is not there, expected a finished build"
        raise ToolError(msg, hint=f"just build {job.persona.name}")
    console.started("gates", ["the whole table"])
    out = job.build / "gates.json"
    run_in_child(cast("Stage", gates), job, out, job.build / "logs" / "gates.log")
    console.pause()
    found = report.read(out)
    if options.json:
        print(json.dumps(found.as_json(), ensure_ascii=False))  # noqa: T201 — the result
    else:
        views.show_gates(found, console)
    return MENDABLE if any(finding.stops for finding in found.gates) else DONE


def _clean(options: argparse.Namespace, console: Console) -> int:
    if not options.names:
        console.notes(["usage: just clean NAME...", "the builds here are:"])
        for folder in sorted(path for path in (ROOT / "build").glob("*") if path.is_dir()):
            size_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            print(f"{folder.name}\t{size_bytes / 1e9:.2f} GB")  # noqa: T201 — the result
        return DONE
    for name in map(_name_of, options.names):
        folder = ROOT / "build" / name
        if folder.is_dir():
            with pipeline.locked(folder):
                shutil.rmtree(folder)
        console.notes([f"{folder} is gone"])
    return DONE


if __name__ == "__main__":
    sys.exit(main())
