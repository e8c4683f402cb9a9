"""What a machine trains on, made up for those that are not here."""

import os
import re
import sys
from types import SimpleNamespace

import pytest

from builder import machine
from builder.bases import base
from builder.errors import ToolError
from builder.stages import base as stage
from builder.training import environment
from tests.conftest import build_of, run_stage


@pytest.mark.parametrize(
    ("flags", "has_bf16"),
    [("fpu avx2 avx512_bf16", True), ("fpu amx_bf16", True), ("fpu avx2 avx512f", False)],
)
def test_a_processor_says_whether_it_computes_bfloat16(tmp_path, monkeypatch, flags, has_bf16):
    """The flag decides, and a machine that does not tell trains in 32 bit."""
    monkeypatch.setattr(machine, "PROCESSOR", tmp_path / "cpuinfo")
    assert machine._processor_has_bf16() is False
    (tmp_path / "cpuinfo").write_text(f"flags\t\t: {flags}\n")

    assert machine._processor_has_bf16() is has_bf16


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
    monkeypatch.setattr(machine, "TICKS", path)
    monkeypatch.setattr(machine.time, "sleep", lambda _: after and path.write_text(after))
    if before:
        path.write_text(before)

    assert machine.measure_busy_share() == pytest.approx(share)


def fake_driver(*gpus, cuda=13020, fails=None):
    """Answer for NVIDIA's library by pynvml's names; the GPUs are called GPU-a0, GPU-b1 too."""
    uuids = [
        f"GPU-{letter}{number}" for number, letter in zip(range(len(gpus)), "ab", strict=False)
    ]
    named = {
        **{str(number): gpu for number, gpu in enumerate(gpus)},
        **dict(zip(uuids, gpus, strict=True)),
    }
    error = type("NVMLError", (Exception,), {"value": fails})

    def begin():
        if fails:
            raise error

    def find(name):
        if name not in named:
            raise error(name)
        return named[name]

    return SimpleNamespace(
        NVMLError=error,
        nvmlInit=begin,
        nvmlDeviceGetCount=lambda: len(gpus),
        nvmlDeviceGetUUID=lambda gpu: uuids[gpus.index(gpu)],
        nvmlSystemGetDriverVersion=lambda: "570.1",
        nvmlDeviceGetMemoryInfo=lambda _: SimpleNamespace(total=80, free=30),
        nvmlDeviceGetComputeRunningProcesses=lambda _: [SimpleNamespace(pid=7)],
        nvmlDeviceGetHandleByIndex=lambda number: find(str(number)),
        nvmlDeviceGetHandleByUUID=find,
        nvmlDeviceGetName=lambda gpu: gpu[0],
        nvmlDeviceGetCudaComputeCapability=lambda gpu: gpu[1],
        nvmlSystemGetCudaDriverVersion_v2=lambda: cuda,
    )


P100, V100 = ("Tesla P100", (6, 0)), ("Tesla V100", (7, 0))
T4, H100 = ("Tesla T4", (7, 5)), ("NVIDIA H100", (9, 0))


@pytest.fixture
def driver(monkeypatch):
    """Let the machine have the GPUs of a driver, in an environment of the test's own."""
    monkeypatch.setattr("os.environ", dict(os.environ))

    def install(*gpus, visible=None, **facts):
        monkeypatch.setitem(sys.modules, "pynvml", fake_driver(*gpus, **facts))
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        machine.find_machine.cache_clear()
        return machine.find_machine()

    yield install
    machine.find_machine.cache_clear()


@pytest.mark.parametrize(
    ("gpus", "visible", "name", "has_bf16"),
    [
        ((T4, T4), None, "Tesla T4", False),
        ((H100,), None, "NVIDIA H100", True),
        ((T4, H100), "1,0", "NVIDIA H100", True),
        ((T4, H100), "GPU-b1", "NVIDIA H100", True),
        ((T4, H100), "GPU-b", "NVIDIA H100", True),
    ],
)
def test_the_first_gpu_that_is_visible_is_used(driver, gpus, visible, name, has_bf16):
    """By number or by name, and bfloat16 by its capability alone."""
    assert driver(*gpus, visible=visible) == machine.Machine("gpu", name, has_bf16)


@pytest.mark.parametrize(("gpu", "cuda"), [(V100, 12080), (T4, 12000), (T4, 12040), (H100, 13000)])
def test_a_driver_of_the_same_or_a_later_major_version_will_do(driver, gpu, cuda):
    """What is built for CUDA 12.8 runs on any driver for CUDA 12, and on every later one."""
    assert driver(gpu, cuda=cuda) == machine.Machine("gpu", gpu[0], has_bf16=gpu is H100)


@pytest.mark.parametrize(("gpus", "visible"), [((), None), ((T4,), ""), ((T4,), "-1")])
def test_without_a_gpu_the_processor_is_used(driver, gpus, visible):
    """None is there, or the person hides them all: nothing is refused."""
    found = driver(*gpus, visible=visible)

    assert (found.kind, found.refused) == ("cpu", "")


@pytest.mark.parametrize(
    ("gpu", "cuda", "reason"),
    [
        (P100, 13020, "Tesla P100: has compute capability 6.0, expected 7.0 or newer"),
        (T4, 11080, "Tesla T4: has a driver for CUDA 11.8, expected 12.0 or newer"),
    ],
)
def test_a_gpu_that_torch_cannot_use_is_refused_with_the_reason(driver, luma, gpu, cuda, reason):
    """A build that would choose by it stops with a way out: `--base cpu`, which then trains."""
    found = driver(gpu, cuda=cuda)

    for options in ({}, {"base": "gpu"}):
        with pytest.raises(ToolError, match=re.escape(reason)) as caught:
            stage.inputs(build_of(luma, **options))
        assert "--base cpu" in caught.value.hint
    assert found.kind == "cpu"
    build = build_of(luma, base="cpu")
    assert stage.inputs(build).source == base.EMBEDDED
    run_stage(stage, build)
    assert build.read_base().four_bit is False


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("2", "a number from 0 to 1"), ("GPU-c", "a GPU's UUID"), ("all", "a GPU's UUID")],
)
def test_a_name_that_is_no_gpus_is_refused(driver, luma, visible, expected):
    """It is said, in place of training on the processor for hours; `--base cpu` still does."""
    found = driver(T4, H100, visible=visible)

    assert found.refused.startswith(f"CUDA_VISIBLE_DEVICES: begins with '{visible}', which names")
    assert expected in found.refused
    with pytest.raises(ToolError, match="names no GPU here") as caught:
        stage.inputs(build_of(luma))
    assert "--base cpu" in caught.value.hint
    assert stage.inputs(build_of(luma, base="cpu")).source == base.EMBEDDED


@pytest.mark.parametrize(("fails", "is_refused"), [(machine.LIBRARY_DIFFERS, True), (9, False)])
def test_a_driver_that_was_updated_under_the_kernel_is_refused(driver, fails, is_refused):
    """Until a restart its GPU cannot be used; a driver that is not loaded is no GPU."""
    found = driver(T4, fails=fails)

    assert found.kind == "cpu"
    assert ("restart the machine" in found.refused_hint) is is_refused
    assert machine.inspect_gpu() is None


def test_what_changes_of_a_gpu_is_asked_of_the_driver(driver):
    """Its free memory and who holds the rest, of the GPU that is used."""
    driver(T4, H100, visible="1")

    assert machine.inspect_gpu() == machine.Gpu(
        name="NVIDIA H100",
        capability=(9, 0),
        cuda=(13, 2),
        driver="570.1",
        memory_bytes=80,
        free_bytes=30,
        processes=(7,),
    )


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    """Of a large host `taskset` or a job may give a few: more threads than those wait in turn."""
    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7, 9})
    assert machine.count_cores() == 4

    monkeypatch.delattr(os, "sched_getaffinity")
    assert machine.count_cores() == 128


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
    monkeypatch.setattr(machine, "GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "GROUP_LIMITS", tmp_path / "limits")
    if groups is not None:
        (tmp_path / "cgroup").write_text(groups)
    for name, text in limits.items():
        path = tmp_path / "limits" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")

    assert machine.find_processor_memory_bytes() == found


@pytest.mark.parametrize(("typed", "is_told"), [("cpu", True), (base.EMBEDDED, False)])
def test_a_base_for_processors_beside_a_gpu_says_what_trains(driver, luma, caplog, typed, is_told):
    """`--base cpu` names a base, which the GPU trains; how to train it on the processor is said."""
    driver(H100)
    build = build_of(luma, base=typed)
    run_stage(stage, build)

    assert build.read_base().source == base.EMBEDDED
    assert ("NVIDIA H100 trains it" in caplog.text) is is_told


@pytest.mark.parametrize(
    ("found", "compute_type"),
    [
        (machine.Machine("gpu", "T4", has_bf16=False), "float16"),
        (machine.Machine("gpu", "H100", has_bf16=True), "bfloat16"),
        (machine.Machine("cpu", "", has_bf16=True), "bfloat16"),
        (machine.Machine("cpu", "", has_bf16=False), "float32"),
    ],
)
def test_what_layers_compute_in_follows_from_the_machine(found, compute_type):
    """Bfloat16 where it is computed; else what a GPU or a processor has in its place."""
    assert found.compute_type == compute_type


def test_what_is_refused_is_what_torch_was_not_built_for():
    """The limits are the installed torch's: its oldest kernels, and its CUDA's major version."""
    torch = pytest.importorskip("torch")
    if not torch.version.cuda:
        pytest.skip("this torch is built without CUDA")

    # The list of flags is there without a GPU, where torch.cuda.get_arch_list() is empty.
    flags = torch._C._cuda_getArchFlags().split()
    oldest = min(int(flag.removeprefix("sm_")) for flag in flags if flag.startswith("sm_"))
    assert divmod(oldest, 10) == machine.LOWEST_CAPABILITY
    assert (int(torch.version.cuda.split(".")[0]), 0) == machine.LOWEST_CUDA


@pytest.mark.parametrize(
    ("gpus", "visible", "left"),
    [((T4, T4), "0,1", "0"), ((T4, T4), "1,0", "1"), ((P100,), "0", ""), ((), "0", "")],
)
def test_unsloth_sees_one_gpu_or_none(driver, gpus, visible, left):
    """Not the second of two, and none that torch cannot use."""
    driver(*gpus, visible=visible)

    environment.prepare()

    assert os.environ["CUDA_VISIBLE_DEVICES"] == left


def test_what_was_compiled_is_cached_for_one_kind_of_processor(tmp_path, monkeypatch):
    """Two processors that share a home never run each other's code."""
    monkeypatch.setattr(machine, "PROCESSOR", tmp_path / "cpuinfo")
    monkeypatch.setattr("os.environ", {"XDG_CACHE_HOME": str(tmp_path)})
    folders = set()
    for flags in ("fpu avx2", "fpu avx2 avx512f"):
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
        os.environ.pop("TORCHINDUCTOR_CACHE_DIR", None)
        environment.prepare()
        folders.add(os.environ["TORCHINDUCTOR_CACHE_DIR"])

    assert len(folders) == 2
    assert all(folder.startswith(str(tmp_path / "persona" / "compiled")) for folder in folders)
