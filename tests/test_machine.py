"""What a machine trains on, made up for those that are not here."""

import os
import re
import sys
from types import SimpleNamespace

import pytest

from builder import cpu, machine
from builder.bases import base
from builder.errors import ToolError
from builder.stages import base as stage
from builder.training import environment
from tests.conftest import build_of, run_stage


def fake_slices(whole, slices, error):
    """Answer for what NVIDIA's library says of slices, and of capabilities, which they lack."""

    def give(value, *, where):
        if not where:
            raise error
        return value

    return {
        "nvmlDeviceGetCudaComputeCapability": lambda gpu: give(gpu[1], where=gpu not in slices),
        "nvmlDeviceGetMaxMigDeviceCount": lambda gpu: give(
            len(slices) if gpu in whole else 0, where=gpu not in slices
        ),
        "nvmlDeviceGetMigDeviceHandleByIndex": lambda _, number: give(
            slices[number], where=slices[number]
        ),
        "nvmlDeviceGetDeviceHandleFromMigDeviceHandle": lambda gpu: give(
            *whole, where=gpu in slices
        ),
    }


def fake_driver(*gpus, cuda=13020, fails=None, slices=()):
    """Answer for NVIDIA's library by pynvml's names; the GPUs are called GPU-a0, GPU-b1 too.

    Slices are of the last GPU, and called MIG-0, MIG-1; None is one that was not made. They give
    their whole GPU, and no capability.
    """
    uuids = [
        f"GPU-{letter}{number}" for number, letter in zip(range(len(gpus)), "ab", strict=False)
    ]
    named = {
        **{str(number): gpu for number, gpu in enumerate(gpus)},
        **dict(zip(uuids, gpus, strict=True)),
        **{f"MIG-{number}": item for number, item in enumerate(slices)},
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
        nvmlDeviceGetMemoryInfo=lambda gpu: SimpleNamespace(
            total=10 if gpu in slices else 80, free=9 if gpu in slices else 30
        ),
        nvmlDeviceGetComputeRunningProcesses=lambda _: [SimpleNamespace(pid=7)],
        nvmlDeviceGetHandleByIndex=lambda number: find(str(number)),
        nvmlDeviceGetHandleByUUID=find,
        nvmlDeviceGetName=lambda gpu: gpu[0],
        **fake_slices(gpus[-1:], slices, error),
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
def test_without_a_gpu_the_cpu_is_used(driver, gpus, visible):
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
    """It is said, in place of training on the CPU for hours; `--base cpu` still does."""
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


SMALL_SLICE, LARGE_SLICE = ("H100 MIG 1g.10gb", None), ("H100 MIG 3g.40gb", None)


@pytest.mark.parametrize(
    ("visible", "slices", "name", "memory_bytes"),
    [
        ("MIG-1", (SMALL_SLICE, LARGE_SLICE), "H100 MIG 3g.40gb", 10),
        ("1", (SMALL_SLICE, LARGE_SLICE), "H100 MIG 1g.10gb", 10),
        ("GPU-b", (None, LARGE_SLICE), "H100 MIG 3g.40gb", 10),
        ("1", (None, None), "NVIDIA H100", 80),
        ("0", (SMALL_SLICE,), "Tesla T4", 80),
    ],
)
def test_of_a_gpu_in_mig_mode_one_slice_is_used(driver, visible, slices, name, memory_bytes):
    """The one that is named, or else its first; the memory is the slice's, not the whole GPU's."""
    found = driver(T4, H100, visible=visible, slices=slices)

    assert found == machine.Machine("gpu", name, has_bf16=visible != "0")
    assert machine.inspect_gpu().memory_bytes == memory_bytes
    assert machine.inspect_gpu().capability == (T4 if visible == "0" else H100)[1]


@pytest.mark.parametrize(("typed", "is_told"), [("cpu", True), (base.EMBEDDED, False)])
def test_a_base_for_cpus_beside_a_gpu_says_what_trains(driver, luma, caplog, typed, is_told):
    """`--base cpu` names a base, which the GPU trains; how to train it on the CPU is said."""
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
    """Bfloat16 where it is computed; else what a GPU or a CPU has in its place."""
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


def test_what_was_compiled_is_cached_for_one_kind_of_cpu(tmp_path, monkeypatch):
    """Two CPUs that share a home never run each other's code."""
    monkeypatch.setattr(cpu, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("os.environ", {"XDG_CACHE_HOME": str(tmp_path)})
    folders = set()
    for flags in ("fpu avx2", "fpu avx2 avx512f"):
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
        os.environ.pop("TORCHINDUCTOR_CACHE_DIR", None)
        environment.prepare()
        folders.add(os.environ["TORCHINDUCTOR_CACHE_DIR"])

    assert len(folders) == 2
    assert all(folder.startswith(str(tmp_path / "persona" / "compiled")) for folder in folders)
