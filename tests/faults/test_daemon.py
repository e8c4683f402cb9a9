"""A registration whose daemon lies, stalls or dies at any request: nobody's model is lost.

The file is of a few kilobytes, and verifying it is two requests: what is tested is all that
registration does around that.
"""

import os
import signal
import subprocess
import threading

import pytest

from builder import files
from builder.errors import PersonaError
from builder.ollama import registration, session
from builder.ollama.client import Daemon
from builder.ollama.registration import Registration
from builder.ollama.served import Served
from tests.conftest import NO_OLLAMA, OLLAMA, find_port, serve
from tests.faults.proxy import Proxy
from tests.ollama.tiny import put, write_tiny

pytestmark = pytest.mark.slow

MINE = "mine:latest"
SERVED = Served(
    model="luma:latest",
    parameters={"num_ctx": 64},
    template="{{ .Prompt }}",
    system="You are Luma.",
    license=None,
)
FAULTS = ("truncate", "lie", "stall", "redirect")


class World:
    """A real daemon, a proxy before it, and a build that registers through the proxy."""

    def __init__(self, folder):
        self.folder, self.port = folder, find_port()
        self.gguf = folder / "model.gguf"
        write_tiny(self.gguf)
        self.process = serve(folder, self.port)
        self.proxy = Proxy(self.port)
        self.real = Daemon(f"http://127.0.0.1:{self.port}", "0.34.2")
        put(self.real, self.gguf, MINE)
        self.mine = self.real.digest(MINE)

    def register(self, name="build", system=SERVED.system, *, replace=False):
        """Register, and write the receipt as the stage does."""
        receipt = self.folder / name / "registered.json"
        wanted = Registration(
            served=Served(**{**vars(SERVED), "system": system}),
            gguf=self.gguf,
            chat_template="",
            own=(),
            asked=(),
            let_through=(),
            claims=self.folder / name / "claims",
            receipt=receipt,
            replace=replace,
        )
        made = registration.register(Daemon(self.proxy.url, "0.34.2"), wanted)
        receipt.parent.mkdir(exist_ok=True)
        made.write(receipt)
        return made.digest

    def restart(self):
        """Start the daemon again where it was stopped or killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
        else:
            self.process = serve(self.folder, self.port)

    def close(self):
        """End the daemon and the proxy."""
        self.proxy.shutdown()
        self.proxy.server_close()
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Start a daemon for the tests that leave it as it was."""
    if OLLAMA is None:
        pytest.skip(NO_OLLAMA)
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Verify by two requests."""

    def verify(daemon, name, *_, **__):
        assert daemon.show(name) is not None
        assert name in daemon.names()
        return []

    monkeypatch.setattr(registration.verification, "verify", verify)


@pytest.fixture
def _impatient(monkeypatch):
    """Wait for an answer no longer than a second, where one never comes."""
    monkeypatch.setattr(session, "ANSWER_WAIT_S", 1.0)


def try_every_request(world, fault, act=None):
    """Register again and again, each time with another request done wrong; count the tries."""
    old, at = world.register(system="old", replace=True), 0
    while True:
        world.proxy.do(fault, at, act)
        system = f"new {fault} {at}"
        try:
            new = world.register(system=system)
        except PersonaError:
            new = None
        is_over = len(world.proxy.requests) <= at
        where = f"{fault} at request {at}, {world.proxy.requests[at:][:1]}"
        world.proxy.do()
        world.restart()
        there = world.real.digest("luma:latest")
        assert world.real.digest(MINE) == world.mine, where
        assert new is None or there == new, where
        # By a copy under another name what was served before comes back.
        is_kept = there is not None or old in [one.digest for one in world.real.models()]
        assert is_kept, where
        old = world.register(system=system)
        assert world.real.digest("luma:latest") == old, where
        assert sorted(world.real.names()) == ["luma:latest", MINE], where
        if is_over:
            return at
        at += 1


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("fault", FAULTS)
def test_every_request_may_be_done_wrong(world, fault):
    """Whichever answer is cut, a lie, late or elsewhere: told or done, and right the next time."""
    assert try_every_request(world, fault) >= 15


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("sent", [signal.SIGSTOP, signal.SIGKILL])
def test_the_daemon_may_stop_or_die_in_every_request(world, sent):
    """A daemon that is stopped or killed in any request is told, and the next build is as any."""

    def hit():
        world.process.send_signal(sent)
        if sent == signal.SIGKILL:
            world.process.wait()

    assert try_every_request(world, "stall", hit) >= 15


def test_a_name_taken_by_hand_meanwhile_is_not_replaced(world):
    """A model that a person makes while one is verified keeps its name, whatever the list said."""
    for name in world.real.names():
        if name != MINE:
            world.real.delete(name)
    world.proxy.do()
    world.register("counted", replace=True)
    lists = [at for at, told in enumerate(world.proxy.requests) if "tags" in told]
    for at in lists:
        world.real.delete("luma:latest")
        put(world.real, world.gguf, "luma:latest")
        by_hand = world.real.digest("luma:latest")
        world.proxy.do("lie", at)
        with pytest.raises(PersonaError):
            world.register(f"stranger{at}")
        world.proxy.do()
        assert world.real.digest("luma:latest") == by_hand
    world.real.delete("luma:latest")


def test_two_builds_register_at_once(world):
    """Of two builds of one name one has it and the other is told; of two names both are there."""
    for at in range(5):
        ends = {}

        def build(name, ends=ends, at=at):
            try:
                ends[name] = world.register(f"{name}{at}", system=name)
            except PersonaError as error:
                ends[name] = error

        threads = [threading.Thread(target=build, args=(name,)) for name in ("one", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        digests = [end for end in ends.values() if isinstance(end, str)]
        assert digests == [world.real.digest("luma:latest")], ends
        world.real.delete("luma:latest")
        assert world.real.names() == [MINE]


def test_a_damaged_blob_is_told(world):
    """A file that is cut short in the daemon's store is one sentence, and no model is named."""
    other = world.folder / "other.gguf"
    other.write_bytes(world.gguf.read_bytes() + b"\0" * 64)
    real_gguf, world.gguf = world.gguf, other
    sha256 = files.sha256(other)
    world.real.upload(other, sha256)
    blob = world.folder / "models" / "blobs" / f"sha256-{sha256}"
    os.truncate(blob, 300)
    try:
        with pytest.raises(PersonaError) as told:
            world.register("damaged")
    finally:
        world.gguf = real_gguf
    assert "\n" not in told.value.problems[0]
    assert world.real.names() == [MINE]


def test_a_store_without_room_is_told(tmp_path):
    """A daemon that cannot write a file of a model's size is one sentence; with room it is made."""
    if OLLAMA is None:
        pytest.skip(NO_OLLAMA)
    world = World(tmp_path)
    try:
        world.gguf.write_bytes(world.gguf.read_bytes() + b"\0" * (1 << 20))
        subprocess.run(["prlimit", f"--pid={world.process.pid}", f"--fsize={1 << 19}:"], check=True)
        with pytest.raises(PersonaError) as told:
            world.register()
        assert told.value.problems[0].startswith(world.proxy.url)
        subprocess.run(["prlimit", f"--pid={world.process.pid}", "--fsize=unlimited:"], check=True)
        world.restart()
        assert world.register() == world.real.digest("luma:latest")
        assert sorted(world.real.names()) == ["luma:latest", MINE]
    finally:
        world.close()
