"""A daemon that answers without end: each request is over at its deadline, or at its size."""

import socket
import threading
import time

import pytest

from builder.errors import ToolError
from builder.ollama import client, session
from builder.ollama.client import Daemon

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
DRIPS = {
    "headers": HEAD + b"X: " + b"y" * 100_000,
    "body": HEAD + b"Content-Length: 100000\r\n\r\n",
    "unmeasured-body": HEAD + b"Connection: close\r\n\r\n",
    "chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
}
WHOLE = ("body", "unmeasured-body", "chunks")
REQUESTS = {
    "models": lambda daemon: daemon.models(),
    "show": lambda daemon: daemon.show("luma"),
    "copy": lambda daemon: daemon.copy("luma", "nova"),
    "delete": lambda daemon: daemon.delete("luma"),
    "create": lambda daemon: daemon.create({"model": "luma"}),
    "push": lambda daemon: daemon.push("ana/luma", is_insecure=True),
    "chat": lambda daemon: daemon.chat("luma", [], 1),
}


@pytest.fixture
def serve():
    """Give a function that starts a server of one answer, of parts with pauses between them."""
    listeners = []

    def start(parts, pause_s):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def answer():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        connection.recv(1 << 16)
                        for part in parts():
                            connection.sendall(part)
                            time.sleep(pause_s)
                    except OSError:
                        continue

        threading.Thread(target=answer, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.close()


@pytest.fixture
def _impatient(monkeypatch):
    """End each answer after a little more than a byte's pause."""
    monkeypatch.setattr(session, "ANSWER_WAIT_S", 0.5)
    monkeypatch.setattr(session, "DEADLINES_S", {})


def drip(name):
    """Give a function that sends headers at once, or drips them, and then a byte at a time."""

    def parts():
        if name in WHOLE:
            yield DRIPS[name]
        else:
            yield from (bytes([byte]) for byte in DRIPS[name])
        for _ in range(600):
            yield b"1\r\n \r\n" if name == "chunks" else b" "

    return parts


@pytest.mark.timeout(20)
@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("name", DRIPS)
@pytest.mark.parametrize("request_name", REQUESTS)
def test_an_answer_of_a_byte_at_a_time_has_a_deadline(serve, name, request_name):
    """Whichever part of an answer drips, the request is over, and the sentence says why."""
    daemon = Daemon(serve(drip(name), 0.05), "0.34.2")

    with pytest.raises(ToolError) as told:
        REQUESTS[request_name](daemon)

    assert "did not end its answer within 0.5 s" in told.value.problems[0]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", DRIPS)
def test_a_version_that_drips_is_no_daemon(serve, name):
    """The first question of every command waits no longer than for a daemon that is not there."""
    assert client.ask_version(serve(drip(name), 0.05), wait_s=0.5) is None


def test_an_answer_without_end_is_cut(serve, monkeypatch):
    """A body of any size is not read into memory."""
    monkeypatch.setattr(session, "MOST_BYTES", 1 << 20)

    def parts():
        yield DRIPS["unmeasured-body"]
        for _ in range(64):
            yield b" " * (1 << 16)

    with pytest.raises(ToolError, match="its answer is over 1 MiB"):
        Daemon(serve(parts, 0), "0.34.2").models()


def test_a_compressed_answer_is_not_opened(serve):
    """A few compressed bytes can be gigabytes; Ollama compresses nothing."""

    def parts():
        yield HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b"

    with pytest.raises(ToolError, match="its answer is compressed"):
        Daemon(serve(parts, 0), "0.34.2").models()


def test_a_deeply_nested_answer_is_told(serve):
    """JSON that is nested deeper than Python reads is another answer than Ollama's."""
    body = b"[" * 200_000

    def parts():
        yield HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body

    with pytest.raises(ToolError, match="answers something else"):
        Daemon(serve(parts, 0), "0.34.2").models()
