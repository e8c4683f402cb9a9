"""The border to the daemon, against servers that misbehave in ways a real one cannot be asked to."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from builder import ollama
from builder.errors import ToolError
from builder.stages import register
from tests.conftest import job_of


class FakeDaemon(BaseHTTPRequestHandler):
    """Says it is some version of Ollama, has nothing, and hangs up in the middle of an upload."""

    version = b'{"version": "0.34.2"}'

    def do_GET(self):
        """Tell the version."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.version)

    def do_HEAD(self):
        """Have no blob."""
        self.send_error(404)

    def do_POST(self):
        """Take a little, then hang up."""
        self.rfile.read(1000)
        self.connection.close()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def fake(monkeypatch):
    """Serve the fake on loopback; give a function that sets what it says it is."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Fake", (FakeDaemon,), {}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{server.server_port}")

    def say(answer: object) -> None:
        server.RequestHandlerClass.version = json.dumps(answer).encode()

    yield say
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"version": "0.30.1"}, "is Ollama 0.30.1, expected 0.31.2 or newer"),
        ({"hello": "world"}, "answers, but is not Ollama"),
        (["nginx"], "answers, but is not Ollama"),
    ],
)
def test_who_is_not_a_current_ollama_is_refused(fake, answer, said):
    """An old daemon and somebody else's server are told apart, each by name."""
    fake(answer)

    with pytest.raises(ToolError, match=said):
        ollama.connect(allow_remote=False)


def test_a_source_build_is_taken(fake):
    """A daemon built without a version says 0.0.0."""
    fake({"version": "0.0.0"})

    assert ollama.connect(allow_remote=False).version == "0.0.0"


def test_a_source_build_is_warned_about(fake, luma, caplog):
    """Registration says that the daemon does not know its version, and goes on; with a daemon that does it says nothing."""
    for version, is_told in (("0.34.2", False), ("0.0.0", True)):
        fake({"version": version, "models": []})
        with pytest.raises(ToolError, match=r"base\.json"):  # the first thing that is missing
            register.run(job_of(luma), luma / "registered.json")

        assert ("a build from source" in caplog.text) is is_told


def test_a_daemon_that_stops_in_the_upload_is_an_error(fake, tmp_path):
    """An upload cut short is one sentence, not a bug."""
    fake({"version": "0.34.2"})
    path = tmp_path / "model.gguf"
    path.write_bytes(b"x" * (32 << 20))

    with pytest.raises(ToolError, match="went away"):
        ollama.connect(allow_remote=False).upload(path, "0" * 64)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),  # noqa: S104 — an address to read, none to bind
        ("[::1]:99", "http://[::1]:99"),
        ("https://box.lan", "https://box.lan:443"),
        ('"127.0.0.1:7"', "http://127.0.0.1:7"),
    ],
)
def test_the_address_is_read_as_ollama_reads_it(monkeypatch, text, url):
    """OLLAMA_HOST may lack a scheme, a port, or be what a daemon listens on."""
    monkeypatch.setenv("OLLAMA_HOST", text)

    assert ollama.host() == url
