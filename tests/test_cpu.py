"""What this machine's CPU is, of files made up for those that are not here."""

import os

import pytest

from builder import cpu


@pytest.mark.parametrize(
    ("flags", "has_bf16"),
    [("fpu avx2 avx512_bf16", True), ("fpu amx_bf16", True), ("fpu avx2 avx512f", False)],
)
def test_a_cpu_says_whether_it_computes_bfloat16(tmp_path, monkeypatch, flags, has_bf16):
    """The flag decides, and a machine that does not tell trains in 32 bit."""
    monkeypatch.setattr(cpu, "CPU_INFO", tmp_path / "cpuinfo")
    assert cpu.has_bf16() is False
    (tmp_path / "cpuinfo").write_text(f"flags\t\t: {flags}\n")

    assert cpu.has_bf16() is has_bf16


@pytest.mark.parametrize(
    ("before", "after", "share"),
    [
        ("cpu  100 0 100 800 0 0 0 0 0 0\n", "cpu  160 0 120 810 10 0 0 0 0 0\n", 0.8),
        ("cpu  100 0 100 800 0 0 0 0 0 0\n", "cpu  100 0 100 900 0 0 0 0 0 0\n", 0.0),
        ("cpu  1 0 1 8\n", "cpu  1 0 1 8\n", 0.0),
        ("nothing\n", "nothing\n", 0.0),
        (None, None, 0.0),
    ],
)
def test_a_machine_says_how_busy_its_processors_are(tmp_path, monkeypatch, before, after, share):
    """Time that is not spent waiting, of all time; a machine that does not tell counts as idle."""
    path = tmp_path / "stat"
    monkeypatch.setattr(cpu, "TICKS", path)
    monkeypatch.setattr(cpu.time, "sleep", lambda _: after and path.write_text(after))
    if before:
        path.write_text(before)

    assert cpu.measure_busy_share() == pytest.approx(share)


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    """Of a large host `taskset` or a job may give a few: more threads than those wait in turn."""
    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7, 9})
    assert cpu.count_cores() == 4

    monkeypatch.delattr(os, "sched_getaffinity")
    assert cpu.count_cores() == 128


WITHIN = "0::/slurm/job_7/step_0\n"
OLDER = "12:cpu,memory:/docker/ab\n0::/\n"


@pytest.mark.parametrize(
    ("groups", "limits", "found"),
    [
        (WITHIN, {"slurm/job_7/memory.max": "3000", "memory.max": "max"}, 3000),
        (WITHIN, {"slurm/job_7/memory.max": "3000", "slurm/job_7/step_0/memory.max": "2000"}, 2000),
        ("0::/\n", {"memory.max": "5000"}, 5000),
        (OLDER, {"memory/docker/ab/memory.limit_in_bytes": "4000"}, 4000),
        (OLDER, {"memory/memory.limit_in_bytes": "4000"}, 4000),
        (None, {"memory.max": "5000"}, 5000),
    ],
)
def test_a_limit_of_any_group_around_this_process_is_its_memory(
    tmp_path, monkeypatch, groups, limits, found
):
    """A container limits the outermost group, and a batch system one of those inside."""
    monkeypatch.setattr(cpu, "GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(cpu, "GROUP_LIMITS", tmp_path / "limits")
    if groups is not None:
        (tmp_path / "cgroup").write_text(groups)
    for name, text in limits.items():
        path = tmp_path / "limits" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")

    assert cpu.find_memory_bytes() == found
