"""The client of the daemon, against servers that do what a real one cannot be made to do."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from builder.errors import ToolError
from builder.ollama import address, client, registration
from builder.ollama.served import Served
from builder.stages import register
from tests.conftest import build_of


class FakeDaemon(BaseHTTPRequestHandler):
    """Says it is some version of Ollama, has nothing, and hangs up in the middle of an upload."""

    version = b'{"version": "0.34.2"}'
    asked: ClassVar = []

    def do_GET(self):
        """Tell the version, or whatever it is to say."""
        self.asked.append(self.path)
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
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Fake", (FakeDaemon,), {"asked": []}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{server.server_port}")

    def say(answer: object) -> list:
        server.RequestHandlerClass.version = json.dumps(answer).encode()
        return server.RequestHandlerClass.asked

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
        client.connect(allow_remote=False)


def test_a_source_build_is_taken(fake):
    """A daemon built without a version says 0.0.0."""
    fake({"version": "0.0.0"})

    assert client.connect(allow_remote=False).version == "0.0.0"


def test_a_source_build_is_warned_about(fake, luma, caplog):
    """Registration warns of a daemon that does not know its version, of no other, and goes on."""
    for version, is_told in (("0.34.2", False), ("0.0.0", True)):
        fake({"version": version, "models": []})
        with pytest.raises(FileNotFoundError):  # the GGUF, which is the first that is missing
            registration.register(
                client.connect(allow_remote=False),
                registration.Registration(
                    served=Served(
                        model="luma", parameters={}, template=None, system=None, license=None
                    ),
                    gguf=luma / "model.gguf",
                    chat_template="",
                    own=(),
                    asked=[],
                    let_through=(),
                    claims=luma / "claims",
                    receipt=luma / "registered.json",
                    replace=False,
                ),
            )

        assert ("a build from source" in caplog.text) is is_told


def test_a_daemon_that_stops_in_the_upload_is_an_error(fake, tmp_path):
    """An upload cut short is one sentence, not a bug."""
    fake({"version": "0.34.2"})
    path = tmp_path / "model.gguf"
    path.write_bytes(b"x" * (32 << 20))

    with pytest.raises(ToolError, match="went away"):
        client.connect(allow_remote=False).upload(path, "0" * 64)


@pytest.fixture
def names(monkeypatch):
    """Give a table of names and their addresses, the only ones that resolve."""
    table = {}

    def resolve(name, *_arguments, **_options):
        if name not in table:
            raise socket.gaierror(-2, "Name or service not known")
        return [(2, 1, 6, "", (address, 0)) for address in table[name]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return table


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("  '127.0.0.1' ", "http://127.0.0.1:11434"),
        ('"127.0.0.1:7"', "http://127.0.0.1:7"),
        ("localhost", "http://localhost:11434"),
        ("localhost.", "http://localhost:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),  # noqa: S104 — an address to read, none to bind
        ("[::]", "http://[::1]:11434"),
        ("[::]:7", "http://[::1]:7"),
        ("::1", "http://[::1]:11434"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:99", "http://[::1]:99"),
        ("[0:0::1]:99", "http://[::1]:99"),
        ("::ffff:127.0.0.1", "http://127.0.0.1:11434"),
        ("[::ffff:127.0.0.1]:7", "http://127.0.0.1:7"),
        ("::ffff:0.0.0.0", "http://127.0.0.1:11434"),
        (":7", "http://127.0.0.1:7"),
        (":abc", "http://127.0.0.1:11434"),
        ("127.0.0.1:", "http://127.0.0.1:11434"),
        ("127.0.0.1:99999", "http://127.0.0.1:11434"),
        ("127.0.0.1:-1", "http://127.0.0.1:11434"),
        ("127.0.0.1:" + "9" * 5000, "http://127.0.0.1:11434"),
        ("http://127.0.0.1", "http://127.0.0.1:80"),
        ("http://", "http://127.0.0.1:80"),
        ("https://box.lan", "https://box.lan:443"),
        ("https://box.lan:99999", "https://box.lan:443"),
        ("box.lan:7/", "http://box.lan:7"),
        ("http://box.lan:7/ollama", "http://box.lan:7/ollama"),
        ("box.lan:7/a//b/../c d/", "http://box.lan:7/a/c%20d"),
    ],
)
def test_the_address_is_read_as_ollama_reads_it(monkeypatch, text, url):
    """OLLAMA_HOST may lack a scheme or a port, or be what a daemon listens on."""
    monkeypatch.setenv("OLLAMA_HOST", text)

    assert address.host() == url


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("unix:///run/ollama.sock", "has the scheme 'unix', expected http or https"),
        ("user:secret@127.0.0.1:7", "contains a user name, expected an address alone"),
        ("http://user:secret@127.0.0.1", "contains a user name, expected an address alone"),
        ("127.0.0.1:0", "has port 0, expected the port that Ollama listens on"),
        ("1:2:3:4:5", "'1:2:3:4:5' is not a host, expected an address or a name"),
        ("[localhost]", "'[localhost]' is not a host, expected an address or a name"),
        ("a b", "'a b' is not a host, expected an address or a name"),
        ("127.0.0.1?x", "'127.0.0.1?x' is not a host, expected an address or a name"),
        ("ⅼocalhost", "'ⅼocalhost' is not a host, expected an address or a name"),
    ],
)
def test_what_is_no_address_is_refused(monkeypatch, text, said):
    """Another scheme, a user, port 0 and what is no host are one sentence, without a password."""
    monkeypatch.setenv("OLLAMA_HOST", text)

    with pytest.raises(ToolError) as caught:
        client.connect(allow_remote=True)
    assert caught.value.problems == (f"OLLAMA_HOST: {said}",)
    assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_a_port_that_is_none_is_warned_about(monkeypatch, caplog):
    """That the default port is taken in place of another is said, once."""
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:70000")
    address.host()
    address.host()

    said = "'70000' is not a port, expected 1 to 65535; 11434 is taken, as Ollama does"
    assert caplog.messages == [f"OLLAMA_HOST: {said}"]


@pytest.mark.parametrize(
    ("text", "is_here"),
    [
        ("localhost", True),
        ("LOCALHOST.:7", True),
        ("127.8.9.1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", True),  # noqa: S104 — an address to read, none to bind
        ("box.here", True),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("both.example", False),
        ("unknown.example", False),
        ("empty.example", False),
        ("x" * 70, False),
        ("::ffff:192.0.2.7", False),
        ("[fe80::1]", False),
        ("192.0.2.7", False),
    ],
)
def test_another_machine_needs_its_option(monkeypatch, names, text, is_here):
    """An address is this machine's own if it is loopback, or a name of loopback addresses alone."""
    names["127.0.0.1.evil.example"] = ["192.0.2.7"]
    names["both.example"] = ["127.0.0.1", "192.0.2.7"]
    names["empty.example"] = []
    names["box.here"] = ["127.0.0.1", "::1"]
    monkeypatch.setenv("OLLAMA_HOST", text)

    assert address.is_loopback(address.host()) is is_here
    if not is_here:
        with pytest.raises(ToolError, match="is not this machine"):
            client.connect(allow_remote=False)


def test_a_path_goes_before_every_route(fake, monkeypatch):
    """A daemon behind a path of a proxy is asked below that path."""
    asked = fake({"version": "0.34.2", "models": []})
    monkeypatch.setenv("OLLAMA_HOST", f"{address.host()}/behind/a/proxy/")

    assert client.connect(allow_remote=False).names() == []
    assert asked == ["/behind/a/proxy/api/version", "/behind/a/proxy/api/tags"]


@pytest.mark.parametrize(
    ("url", "other", "is_same"),
    [
        ("http://127.0.0.1:7", "http://localhost:7", True),
        ("http://[::1]:7", "http://127.0.0.1:7", True),
        ("http://127.0.0.1:7", "http://127.0.0.1:8", False),
        ("http://127.0.0.1:7", "http://127.0.0.1:7/other", False),
        ("http://127.0.0.1:7", "http://192.0.2.7:7", False),
        ("http://192.0.2.7:7", "http://192.0.2.7:7", True),
    ],
)
def test_a_daemon_is_a_machine_and_a_port(url, other, is_same):
    """The names of this machine are one daemon's at one port; everything else is another's."""
    assert address.is_same_daemon(url, other) is is_same


@pytest.mark.parametrize(
    ("name", "other", "is_same"),
    [
        ("nova", "Nova:LATEST", True),
        ("nova", "library/nova", True),
        ("nova", "Registry.ollama.ai/library/nova:latest", True),
        ("ana/nova", "ANA/nova:latest", True),
        ("localhost:5000/ana/nova", "localhost:5000/ana/nova:latest", True),
        ("nova", "nova:7b", False),
        ("nova", "ana/nova", False),
        ("ana/nova", "localhost:5000/ana/nova", False),
    ],
)
def test_a_name_is_what_ollama_takes_it_for(name, other, is_same):
    """Case is ignored, and a registry, namespace and tag that are left out are filled in."""
    assert (client.normalize(name) == client.normalize(other)) is is_same


def test_a_model_is_found_in_whatever_case_it_was_made(fake):
    """A model is found by its name in any case; two of a name are told, and neither is chosen."""
    nova = {"model": "Nova:latest", "digest": "one"}
    fake({"version": "0.34.2", "models": [nova, {"model": "nova:7b", "digest": "other"}]})
    daemon = client.connect(allow_remote=False)
    assert daemon.digest("library/nova") == "one"
    assert daemon.digest("precious") is None

    fake({"models": [nova, {"model": "nova:LATEST", "digest": "other"}]})
    with pytest.raises(ToolError, match="has Nova:latest and nova:LATEST, expected one"):
        daemon.digest("nova")


def test_a_list_that_is_none_is_an_error(fake):
    """A daemon that answers something else than a list of models is one sentence."""
    fake({"version": "0.34.2", "models": [{"model": "nova"}]})

    with pytest.raises(ToolError, match="answers something else, expected Ollama's answer"):
        client.connect(allow_remote=False).names()


def test_a_name_that_is_taken_is_told_before_training(fake, luma):
    """A model of the name, in whatever case, that this build did not register is refused early."""
    model = {"name": "Luma:latest", "model": "Luma:latest", "digest": "0" * 64}
    fake({"version": "0.34.2", "models": [model]})
    with pytest.raises(ToolError, match="that this build did not register"):
        register.check(build_of(luma))
    register.check(build_of(luma, replace=True))

    fake({"version": "0.34.2", "models": []})
    register.check(build_of(luma))


def test_an_address_is_told_before_training(monkeypatch, luma):
    """A remote daemon wants --allow-remote at once; one that does not answer stops no training."""
    monkeypatch.setenv("OLLAMA_HOST", "192.0.2.7:11434")
    with pytest.raises(ToolError, match="is not this machine"):
        register.check(build_of(luma))
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    register.check(build_of(luma))
