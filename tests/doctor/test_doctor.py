"""What `persona doctor` says of machines that are made up, and of this one."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from builder import cli
from builder.bases import hub
from builder.doctor import daemon, examination, hardware, software, storage, suitability
from builder.machine import Gpu, Machine
from builder.ollama import releases
from tests.conftest import ROOT, run_persona
from tests.test_layout import HEAVY

H100 = Gpu(
    name="NVIDIA H100",
    capability=(9, 0),
    cuda=(12, 8),
    driver="570.12",
    memory_bytes=80_000_000_000,
    free_bytes=79_000_000_000,
    processes=(),
)
LAPTOP = hardware.Hardware(
    machine=Machine("cpu", "no GPU here", has_bf16=False),
    gpu=None,
    cpu="A CPU",
    cores=4,
    features=("avx2",),
    memory_bytes=16_000_000_000,
    disks=(hardware.Disk(use="project", path="/home/ana/p", free_bytes=50_000_000_000),),
)
ROOM = suitability.Room(
    machine=LAPTOP.machine,
    memory_bytes=16_000_000_000,
    free_bytes=16_000_000_000,
    disk_bytes=50_000_000_000,
)
GPU_MACHINE = Machine("gpu", "NVIDIA H100", has_bf16=True)
WHOLE = software.Software(
    python="3.11.7",
    prefix="/venv",
    installed=dict.fromkeys(software.LIBRARIES, "1.0"),
    locked=dict.fromkeys(software.LIBRARIES, "1.0"),
    compiler="/usr/bin/c++",
    has_headers=True,
    has_gpu=False,
)
DAEMON = daemon.Ollama(
    url="http://127.0.0.1:11434",
    problem="",
    hint="",
    is_local=True,
    version="0.99.0",
    binary="/usr/bin/ollama",
    is_named=False,
)


def judge(check, found, subject, **changes):
    """Give the finding of a subject, of a made-up value but for the changes."""
    findings = check.judge(dataclasses.replace(found, **changes))
    return next(finding for finding in findings if finding.subject == subject)


@pytest.mark.parametrize(
    ("subject", "changes", "verdict", "told"),
    [
        ("gpu", {}, "ok", "the CPU trains"),
        ("gpu", {"machine": GPU_MACHINE, "gpu": H100}, "ok", "79.0 GB of 80.0 GB free"),
        (
            "gpu",
            {
                "machine": GPU_MACHINE,
                "gpu": dataclasses.replace(H100, free_bytes=30_000_000_000, processes=(12, 345)),
            },
            "warning",
            "50.0 GB are held by process 12, 345",
        ),
        (
            "gpu",
            {
                "machine": Machine(
                    "cpu", "P100", has_bf16=False, refused="P100: has", refused_hint="x"
                )
            },
            "problem",
            "P100: has",
        ),
        ("cpu", {}, "ok", "A CPU, 4 cores, avx2; it computes no bfloat16"),
        ("cpu", {"cores": 1}, "warning", "1 core,"),
        ("memory", {"memory_bytes": 2_000_000_000}, "problem", "2.0 GB, expected 3.0 GB"),
        ("disk: project", {}, "ok", "50.0 GB free in /home/ana/p"),
        (
            "disk: cache",
            {"disks": (hardware.Disk(use="cache", path="/c", free_bytes=10),)},
            "problem",
            "0.0 GB free in /c, expected 1.0 GB",
        ),
        (
            "disk: cache",
            {"disks": (hardware.Disk(use="cache", path="/c", free_bytes=9**12, is_written=False),)},
            "problem",
            "/c cannot be written",
        ),
    ],
)
def test_a_machine_is_judged(subject, changes, verdict, told):
    """What keeps a build from finishing is a problem, what slows it a warning, each with advice."""
    finding = judge(hardware, LAPTOP, subject, **changes)

    assert finding.verdict == verdict
    assert told in finding.told
    assert bool(finding.advice) == (verdict != "ok")


@pytest.mark.parametrize(
    ("subject", "changes", "verdict", "told"),
    [
        ("libraries", {}, "ok", "torch 1.0"),
        ("libraries", {"installed": {"torch": "1.0"}}, "problem", "not installed: unsloth"),
        (
            "libraries",
            {"installed": {**WHOLE.installed, "trl": "2.0"}},
            "warning",
            "trl 2.0 (expected 1.0)",
        ),
        ("libraries", {"installed": {**WHOLE.installed, "torch": "1.0+cu128"}}, "ok", "1.0+cu128"),
        (
            "libraries",
            {"installed": {**WHOLE.installed, "torch": "1.0+cpu"}, "has_gpu": True},
            "problem",
            "torch 1.0+cpu is built for CPUs alone",
        ),
        ("compiler", {}, "ok", "/usr/bin/c++"),
        ("compiler", {"compiler": None}, "warning", "none on PATH"),
        ("compiler", {"has_headers": False}, "warning", "headers are missing"),
    ],
)
def test_what_is_installed_is_judged(subject, changes, verdict, told):
    """A library that is missing, or that cannot use the GPU, is a problem, another a warning."""
    finding = judge(software, WHOLE, subject, **changes)

    assert (finding.verdict, bool(finding.advice)) == (verdict, verdict != "ok")
    assert told in finding.told


@pytest.mark.parametrize(
    ("changes", "verdict", "told"),
    [
        ({}, "ok", "0.99.0 at http://127.0.0.1:11434; all"),
        ({"version": "0.0.0"}, "ok", "built from source"),
        ({"version": "0.32.0"}, "ok", f"older than {releases.NO_REPEAT_PENALTY.version}, since"),
        ({"version": "0.30.0"}, "problem", f"expected {releases.LOWEST.version} or newer"),
        ({"version": None}, "problem", "/usr/bin/ollama is installed"),
        ({"version": None, "binary": None, "is_named": True}, "problem", "does not answer"),
        ({"version": None, "binary": None}, "warning", "builds end without a name in it"),
        ({"is_local": False}, "warning", "that is not this machine"),
        ({"problem": "OLLAMA_HOST: has port 0", "hint": "set it"}, "problem", "has port 0"),
    ],
)
def test_ollama_is_judged_as_a_build_would(changes, verdict, told):
    """One that is installed and silent, or too old, stops a build; where there is none it ends."""
    finding = judge(daemon, DAEMON, "ollama", **changes)

    assert (finding.verdict, bool(finding.advice)) == (verdict, verdict != "ok")
    assert told in finding.told


@pytest.mark.parametrize(
    ("changes", "verdict", "told"),
    [
        ({}, "ok", "smollm2-135m-instruct, the manifest's `cpu` base"),
        ({}, "ok", "weights in 32 bit, computed in float32"),
        ({"machine": Machine("cpu", "", has_bf16=True)}, "ok", "in 16 bit, computed in bfloat16"),
        ({"machine": GPU_MACHINE}, "ok", "Qwen3-4B-Instruct-2507, the manifest's `gpu` base"),
        ({"machine": GPU_MACHINE}, "ok", "weights in 4 bit (QLoRA), computed in bfloat16"),
        ({"machine": Machine("gpu", "Tesla T4", has_bf16=False)}, "ok", "computed in float16"),
        ({"machine": GPU_MACHINE, "memory_bytes": 4 * 10**9}, "problem", "it takes 5."),
        ({"machine": GPU_MACHINE, "free_bytes": 4 * 10**9}, "warning", "and 4.0 GB are free"),
        ({"machine": GPU_MACHINE, "disk_bytes": 2 * 10**9}, "problem", "its export takes 2."),
    ],
)
def test_what_is_used_is_said_with_the_reason(changes, verdict, told):
    """The base, the bits of its weights and what is computed in follow from the machine."""
    finding = judge(suitability, ROOM, "used", **changes)

    assert (finding.verdict, bool(finding.advice)) == (verdict, verdict != "ok")
    assert told in finding.told


def test_each_family_says_what_it_needs_here():
    """A base fits a GPU in 4 bit that does not fit a CPU's memory in 32 bit."""
    of_laptop = judge(suitability, ROOM, "qwen3").told
    of_gpu = judge(suitability, ROOM, "qwen3", machine=GPU_MACHINE).told

    assert "too large: Qwen3-4B" in of_laptop
    assert "Qwen3-8B" in of_gpu.partition("too large")[0]
    assert judge(suitability, ROOM, "mistral-nemo").verdict == "warning"


@pytest.fixture
def settings(tmp_path):
    """Give the hub's settings in a home of the test's own."""
    return hub.Settings(
        endpoint=hub.DEFAULT,
        home=tmp_path,
        cache=tmp_path / "hub",
        token="",
        is_offline=False,
    )


@pytest.mark.parametrize(
    ("changes", "verdict", "told"),
    [
        ({}, "ok", "https://huggingface.co, files in"),
        ({"token": "HF_TOKEN"}, "ok", "a token is in HF_TOKEN"),
        ({"endpoint": "https://mirror"}, "ok", "https://mirror (HF_ENDPOINT)"),
        ({"endpoint": "mirror"}, "warning", "not the address of a hub"),
        ({"is_offline": True}, "warning", "offline"),
    ],
)
def test_the_hub_is_judged(settings, changes, verdict, told):
    """A mirror is named, and what keeps a base from being fetched is a warning."""
    found = storage.Storage(hub=dataclasses.replace(settings, **changes), folders=())
    finding = judge(storage, found, "hub")

    assert (finding.verdict, bool(finding.advice)) == (verdict, verdict != "ok")
    assert told in finding.told


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"HF_HOME": "/data/$NAME/hf", "NAME": "ana"},
        {"XDG_CACHE_HOME": "/cache", "HF_HUB_OFFLINE": "yes"},
        {"HF_HUB_CACHE": "~/hub", "HF_TOKEN": "hf_secret", "TRANSFORMERS_OFFLINE": "1"},
        {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "1"},
        {"HF_ENDPOINT": "https://hf-mirror.com/"},
    ],
)
def test_the_hubs_settings_are_those_of_its_client(tmp_path, monkeypatch, environment):
    """Read without importing it, they are what huggingface_hub itself reads."""
    monkeypatch.setattr("os.environ", {"HOME": str(tmp_path), **environment})
    found = hub.read_settings()
    code = (
        "from huggingface_hub import constants as c, get_token; import json;"
        "print(json.dumps([c.ENDPOINT, c.HF_HOME, c.HF_HUB_CACHE, c.HF_HUB_OFFLINE,"
        "bool(get_token())]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"HOME": str(tmp_path), "PATH": os.defpath, **environment},
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout) == [
        found.endpoint,
        str(found.home),
        str(found.cache),
        found.is_offline,
        bool(found.token),
    ]


def test_no_secret_is_shown(tmp_path):
    """A token is told to be there, and an address without its password; neither is printed."""
    (tmp_path / "token").write_text("hf_hunter2_in_file")
    for token in ({"HF_TOKEN": "hf_hunter2"}, {}):
        done = run_persona(
            "doctor",
            cwd=tmp_path,
            HF_HOME=str(tmp_path),
            HF_ENDPOINT="https://ana:hunter2@mirror.example",
            **token,
        )

        assert "a token is in" in done.stdout
        assert "https://mirror.example (HF_ENDPOINT)" in done.stdout
        assert "hunter2" not in done.stdout + done.stderr


def test_a_problem_ends_with_1(tmp_path, monkeypatch, capsys):
    """Exit code and JSON say the same, and every finding of a machine has its line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(software, "find", lambda: WHOLE)
    monkeypatch.setattr(daemon, "find", lambda: DAEMON)
    monkeypatch.setattr(hardware, "find", lambda: LAPTOP)
    assert cli.main(["doctor", "--json"]) == cli.DONE
    findings = json.loads(capsys.readouterr().out)

    monkeypatch.setattr(daemon, "find", lambda: dataclasses.replace(DAEMON, version="0.1.0"))
    assert cli.main(["doctor"]) == cli.MENDABLE
    printed = capsys.readouterr().out

    assert {one["verdict"] for one in findings} <= {"ok", "warning"}
    assert all(one["subject"] in printed for one in findings)
    assert "problem  ollama " in printed
    assert len(examination.CHECKS) == 5


def test_doctor_is_light(tmp_path):
    """It imports neither torch nor the hub's client, and needs no project."""
    code = (
        "import sys; from builder import cli; cli.main(['doctor']);"
        f"print([name for name in {(*HEAVY, 'huggingface_hub')} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == "[]"
    assert list(Path(tmp_path).iterdir()) == []
