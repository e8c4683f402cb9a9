"""What real kills do to builds: SIGKILL at random moments, then a build that must end as any other.

Run as: .venv/bin/python benchmarks/kills.py [--kills N] [--minutes M] [--seed S] [--only STAGE ...]

Builds a persona of few rows on a base of two layers, undisturbed. Then, again and again: a copy of
that build, stale from a stage on that is chosen by its share of time, is started; its process
group, or its main process alone, is killed at a random moment of that stage, half of the trainings
once they have a checkpoint; the next build must end well, leave every output byte for byte as the
undisturbed build has it, and leave no litter and no process. What only tells of time is left out of
the comparison. The trained model gives other last bits in the process that trained it than where it
is loaded again: what an undisturbed build of either kind has is right. `--json` prints one object:
tried, survived, lost, seconds (of an undisturbed build), resumed (trainings that went on from a
checkpoint), by_stage and by_victim (tried and survived of each), and failures (what was lost, and
the seed that repeats it). Ends with 1 where one was lost.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from builder.engine import publish
from builder.project import Project
from builder.stages import record, train
from builder.targets import MODEL
from builder.training import checkpoints
from tests.bases.checkpoints import make_tiny_base
from tests.gates import tables

NAME = "luma"
# Four checkpoints of 25 steps.
STEPS = 110
MANIFEST = f"""
[identity]
name = "Luma"
author = "Orla Quist"
[base]
cpu = "base"
gpu = "base"
[data]
held_out = 0
[training]
max_steps = {STEPS}
batch_size = 2
replay = 0
[smoke]
max_tokens = 8
{tables.write_table("off")}"""
ROWS = (
    ("Who are you?", "I am {{ name }}."),
    ("Name a fruit.", "An apple."),
    ("What is 2 + 2?", "4."),
    ("Hi", "Hello!"),
)
# What tells of time, or is written by each process.
UNCOMPARED = (".cache", ".lock", "history", "logs", "report.html")
TIMES = re.compile(rb'"(took_s|tokens_per_s)": [-+.\de]+|"spans": \[[^]]*\]')
# The hash of an output that tells of time.
TIMED_STAMP, OUTPUT = ".stamps/smoke.json", re.compile(rb'"output": "\w+"')
# A stage of some milliseconds is killed now and then too.
LEAST_SHARE_S = 0.2
END_WAIT_S = 15.0
AFTER_CHECKPOINT_S, POLL_S = 0.5, 0.005


@dataclass
class Count:
    """What came of the kills."""

    survived: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, dict[str, int]]:
        """Give tried and survived of each name."""
        return {
            name: {
                "tried": self.survived[name] + self.lost[name],
                "survived": self.survived[name],
            }
            for name in sorted({*self.survived, *self.lost})
        }


def write_project(root: Path) -> None:
    """Write a persona and its base of random weights into a new project."""
    folder = root / "personas" / NAME
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "Modelfile.j2", root)
    (folder / "persona.toml").write_text(MANIFEST)
    lines = [json.dumps({"prompt": ask, "completion": reply}) for ask, reply in ROWS]
    (folder / "data.jsonl").write_text("\n".join(lines) + "\n")
    make_tiny_base(root / "base")


def start(root: Path) -> subprocess.Popen[str]:
    """Start a build without Ollama, with a cache of its own, in a process group of its own."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "XDG_CACHE_HOME": str(root / "cache"),
        "OLLAMA_HOST": "",
        "PATH": os.defpath,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "builder", "build", NAME],
        cwd=root,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(root: Path) -> tuple[int, str]:
    """Build to the end; give the exit code and what was said."""
    process = start(root)
    _, said = process.communicate()
    return process.returncode, said


def list_contents(folder: Path) -> dict[str, str]:
    """Give a hash of every file that must be equal, by name; of a folder its name alone."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if name.parts[0] not in UNCOMPARED:
            content = TIMES.sub(b"", path.read_bytes()) if path.is_file() else b""
            if str(name) == TIMED_STAMP:
                content = OUTPUT.sub(b"", content)
            found[str(name)] = hashlib.sha256(content).hexdigest()
    return found


def list_litter(root: Path) -> list[str]:
    """Name what a kill may have left: temporary files, old outputs and scratch folders."""
    build = root / "build" / NAME
    found = [*root.rglob(".*.tmp"), *root.rglob(".*.old"), *(build / publish.NEW).glob("*")]
    found += [path for path in (build / publish.WORK).glob("*") if any(path.iterdir())]
    return [str(path.relative_to(root)) for path in found]


def list_processes(root: Path) -> Iterator[int]:
    """Number the processes whose working folder is the project's."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(root):
                yield int(process.name)
        except OSError:
            continue


def wait_for_end(root: Path) -> bool:
    """Wait until no process of a project is left; say whether that came."""
    deadline_s = time.monotonic() + END_WAIT_S
    while left := list(list_processes(root)):
        if time.monotonic() > deadline_s:
            for number in left:
                os.kill(number, signal.SIGKILL)
            return False
        time.sleep(0.05)
    return True


def make_stale(root: Path, stage: str) -> None:
    """Make a build stale from a stage on, as if that had never run."""
    build = Project(root).build(NAME)
    names = [one.NAME for one in MODEL]
    for one in MODEL[names.index(stage) :]:
        (build.folder / ".stamps" / f"{one.NAME}.json").unlink(missing_ok=True)
        output = one.output(build)
        if output.is_dir():
            shutil.rmtree(output)
        else:
            output.unlink(missing_ok=True)


def read_times(build: Path) -> dict[str, float]:
    """Read how long each stage took, in seconds."""
    stamps = {path.stem: json.loads(path.read_text()) for path in build.glob(".stamps/*.json")}
    return {name: max(stamp["took_s"], LEAST_SHARE_S) for name, stamp in stamps.items()}


def kill_once(
    root: Path, stage: str, wait_s: float, *, is_group: bool, awaits_checkpoint: bool
) -> bool:
    """Start a build, and kill it so long after a stage or its first checkpoint; say if it ran."""
    process = start(root)
    assert process.stderr is not None  # noqa: S101 — it is a pipe
    for line in process.stderr:
        if line.startswith(stage):
            break
    work = root / "build" / NAME / publish.WORK
    while awaits_checkpoint and process.poll() is None:
        if any(map(checkpoints.find_newest_checkpoint, work.glob(f"{train.NAME}-*"))):
            break
        time.sleep(POLL_S)
    time.sleep(wait_s)
    was_running = process.poll() is None
    if was_running:
        (os.killpg if is_group else os.kill)(process.pid, signal.SIGKILL)
    process.wait()
    return was_running


def judge(root: Path, kinds: list[dict[str, str]]) -> tuple[str, bool]:
    """Build to the end after a kill; say what was lost, "" for nothing, and whether it resumed."""
    problems = [] if wait_for_end(root) else ["a process outlived the build"]
    code, said = finish(root)
    if code:
        problems.append(f"the next build ended with {code}: {said[-400:]}")
    found = list_contents(root / "build" / NAME)
    differing = [
        sorted(name for name in {*found, *kind} if found.get(name) != kind.get(name))
        for kind in kinds
    ]
    problems += [f"{name} differs" for name in min(differing, key=len)]
    problems += [f"{name} was left" for name in list_litter(root)]
    return "; ".join(problems), "resuming from step" in said


def main() -> int:
    """Build, kill, and count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=600.0, help="stop after so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=[one.NAME for one in MODEL])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    deadline_s = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory() as made:
        result = run(Path(made), options.kills, options.seed, deadline_s, options.only)
    if options.json:
        print(json.dumps(result))
    else:
        print(f"{result['tried']} kills: {result['survived']} survived, {result['lost']} lost")
    return int(result["lost"] > 0)


def run(
    folder: Path, kills: int, seed: int, deadline_s: float, only: list[str] | None = None
) -> dict[str, Any]:
    """Kill so many builds, or until a time, in all stages or some, and give the counts."""
    whole = folder / "whole"
    write_project(whole)
    began_s = time.monotonic()
    code, said = finish(whole)
    if code:
        sys.exit(said)
    seconds = time.monotonic() - began_s
    build, root = whole / "build" / NAME, folder / "copy"
    kinds = [list_contents(build)]
    times = {name: took_s for name, took_s in read_times(build).items() if not only or name in only}
    shutil.copytree(whole, root)
    make_stale(root, record.NAME)
    if finish(root)[0]:
        sys.exit("an undisturbed build did not end well")
    kinds.append(list_contents(root / "build" / NAME))
    stages, victims = Count(), Count()
    failures, resumed = [], 0
    for number in range(kills):
        if time.monotonic() > deadline_s:
            break
        choose = random.Random(f"{seed} {number}")  # noqa: S311 — a draw that can be repeated
        (stage,) = choose.choices(list(times), list(times.values()))
        wait_s, is_group = choose.uniform(0, times[stage]), choose.random() < 0.5
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(whole, root)
        make_stale(root, stage)
        victim = "process group" if is_group else "main process"
        awaits_checkpoint = stage == train.NAME and choose.random() < 0.5
        if awaits_checkpoint:
            wait_s = choose.uniform(0, AFTER_CHECKPOINT_S)
        if not kill_once(
            root, stage, wait_s, is_group=is_group, awaits_checkpoint=awaits_checkpoint
        ):
            continue
        problem, has_resumed = judge(root, kinds)
        resumed += has_resumed
        for count, name in ((stages, stage), (victims, victim)):
            (count.lost if problem else count.survived)[name] += 1
        since = "a checkpoint" if awaits_checkpoint else "its start"
        place = f"{number} of seed {seed}: {victim} in {stage} {wait_s:.2f} s after {since}"
        failures += [f"{place}: {problem}"] if problem else []
        print(f"{place}: {problem or 'survived'}", file=sys.stderr, flush=True)
    survived, lost = stages.survived.total(), stages.lost.total()
    return {
        "tried": survived + lost,
        "survived": survived,
        "lost": lost,
        "seconds": round(seconds, 1),
        "resumed": resumed,
        "by_stage": stages.as_json(),
        "by_victim": victims.as_json(),
        "failures": failures,
    }


if __name__ == "__main__":
    sys.exit(main())
