"""What a daemon answers that is not what Ollama answers: each a sentence, whatever was asked."""

import contextlib
import socketserver
import threading

import httpx
import ollama
import pytest

from builder.errors import ToolError
from builder.ollama import client, releases
from builder.ollama.client import Daemon

USER = [{"role": "user", "content": "Hi"}]
JSON = "Content-Type: application/json\r\n"


def respond(body: str, status: str = "200 OK", headers: str = JSON, length: int | None = None):
    """Write a response; its length may be a lie."""
    size = len(body.encode()) if length is None else length
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {size}\r\n\r\n{body}".encode()


HTML = "<!doctype html>\n<title>It works!</title>"
# A message, a prompt, a list, a description, a version and a status at once, each of a wrong kind.
NUMBERS = (
    '{"message": {"content": 1}, "prompt_eval_count": "x", "_debug_info": {"rendered_template": 1},'
    ' "models": [{"model": 1, "digest": 2}], "system": 1, "parameters": 2, "version": 3,'
    ' "status": 4, "error": 5}'
)
LIES = {
    "a list": respond("[1]"),
    "a number": respond("7"),
    "null": respond("null"),
    "missing keys": respond("{}"),
    "nulls": respond('{"message": null, "models": null, "_debug_info": null, "status": null,'
                     ' "system": null, "parameters": null, "version": null}'),
    "null in a list": respond('{"models": [null], "message": {}, "_debug_info": {}}'),
    "numbers for text": respond(NUMBERS),
    "HTML": respond(HTML, headers="Content-Type: text/html\r\n"),
    "nothing": respond(""),
    "no UTF-8": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe",
    "half a line": respond('{"status": "succ'),
    "a cut answer": respond('{"status": "success"}\n', length=900),
    "a cut chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
    "bad gzip": respond("no gzip at all, but text", headers="Content-Encoding: gzip\r\n"),
    "a redirect": respond("", "302 Found", "Location: http://192.0.2.7/elsewhere\r\n"),
    "an error in HTML": respond(HTML, "502 Bad Gateway"),
    "an error in a list": respond("[1]", "500 Internal Server Error"),
    "an error of a number": respond('{"error": 5}', "500 Internal Server Error"),
    "an error in words": respond('{"error": "out of disk"}', "500 Internal Server Error"),
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "silence": b"",
}  # fmt: skip
CALLS = {
    "show": lambda daemon, _: daemon.show("nova"),
    "models": lambda daemon, _: daemon.models(),
    "find": lambda daemon, _: daemon.find("nova"),
    "copy": lambda daemon, _: daemon.copy("nova", "luma"),
    "delete": lambda daemon, _: daemon.delete("nova"),
    "upload": lambda daemon, path: daemon.upload(path, "0" * 64),
    "create": lambda daemon, _: daemon.create({"model": "nova"}),
    "chat": lambda daemon, _: daemon.chat("nova", USER, 1),
    "rendered_prompt": lambda daemon, _: daemon.rendered_prompt("nova", USER),
    "rendered_prompt /v1": lambda daemon, _: daemon.rendered_prompt(
        "nova", USER, None, "/v1/chat/completions"
    ),
    "connect": lambda *_: client.connect(allow_remote=False),
}
# These need only the status; and a model may have neither system text nor parameters.
ONLY_STATUS = {"copy", "delete", "upload"}
FAILURES = {
    *("a cut answer", "a cut chunk", "bad gzip", "a redirect", "no HTTP", "silence"),
    *(lie for lie in LIES if lie.startswith("an error")),
}


class Liar(socketserver.StreamRequestHandler):
    """Reads a request, notes it, and answers what it is told to."""

    def handle(self):
        """Answer one request, and hang up."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline()
            if not line:
                return
            head += line
        self.server.heads.append(head.decode())
        sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        self.rfile.read(int(sizes[0].split(b":")[1]) if sizes else 0)
        # A HEAD is answered truly, that the upload goes on.
        is_head = head.startswith(b"HEAD")
        self.wfile.write(
            b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n"
            if is_head
            else self.server.answer
        )


@pytest.fixture
def liar(monkeypatch):
    """Serve a daemon that answers what a test sets."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Liar)
    server.heads, server.url = [], f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("call", CALLS)
def test_an_answer_of_another_shape_is_a_sentence(liar, tmp_path, call, lie):
    """Whatever is asked and whatever comes back, there is a ToolError of one line, never a bug."""
    liar.answer = LIES[lie]
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    is_enough = (call in ONLY_STATUS and lie not in FAILURES) or (
        call == "show" and lie in {"missing keys", "null in a list"}
    )
    if is_enough:
        CALLS[call](Daemon(liar.url, "0.34.2"), path)
        return

    with pytest.raises(ToolError) as caught:
        CALLS[call](Daemon(liar.url, "0.34.2"), path)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{liar.url}")
    assert "\n" not in problem
    assert "<" not in problem
    assert len(problem) < 400


def test_a_reason_in_words_is_told(liar):
    """Ollama's own error stands in the sentence."""
    liar.answer = LIES["an error in words"]

    with pytest.raises(
        ToolError, match=r"/api/copy: fails \(out of disk\), expected it to succeed"
    ):
        Daemon(liar.url, "0.34.2").copy("nova", "luma")


@pytest.mark.parametrize("call", [name for name in CALLS if name != "connect"])
def test_nothing_of_the_environment_is_sent(liar, tmp_path, monkeypatch, call):
    """No proxy is asked, no key is sent, no redirect is followed: the one address gets it all."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("OLLAMA_API_KEY", "secret")
    liar.answer = LIES["a redirect"]
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")

    with pytest.raises(ToolError, match=r"status 302"):
        CALLS[call](Daemon(liar.url, "0.34.2"), path)
    assert liar.heads
    assert "secret" not in "".join(liar.heads)
    assert "authorization" not in "".join(liar.heads).lower()


def test_both_clients_wait_as_long(monkeypatch):
    """The ollama client has the timeouts, the certificates and the address that httpx has."""
    from builder.ollama import session

    made = []
    start = ollama.Client.__init__

    def watch(self, *arguments, **options):
        made.append((arguments, options))
        start(self, *arguments, **options)

    monkeypatch.setattr(ollama.Client, "__init__", watch)
    with pytest.raises(ToolError, match="went away"):
        Daemon("http://127.0.0.1:9/below", "0.34.2").models()
    ((url,), options) = made[0]
    assert url == "http://127.0.0.1:9/below"
    monkeypatch.delattr(httpx, "create_ssl_context")  # certificates are loaded once
    own, both = options.pop("transport"), session.settings("/api/tags")
    assert type(own) is type(both.pop("transport"))
    assert options == both
    assert (options["timeout"].connect, options["timeout"].read) == (5.0, 30.0)
    assert session.settings("/api/chat")["timeout"].read == 600.0


def test_a_creation_that_ends_early_is_an_error(liar):
    """Without its last line, `success`, nothing was created."""
    liar.answer = respond('{"status": "parsing GGUF"}\n')

    with pytest.raises(ToolError, match="ended with the status 'parsing GGUF'"):
        Daemon(liar.url, "0.34.2").create({"model": "nova"})


@pytest.mark.parametrize("version", ["9" * 5000, "0.31.1" + "0" * 5000, "x" * 5000])
def test_a_version_of_any_length_is_no_bug(liar, version):
    """A version that no release has is taken or refused, in a sentence of a readable length."""
    liar.answer = respond(f'{{"version": "{version}"}}')

    with contextlib.suppress(ToolError):
        assert client.connect(allow_remote=False).version == version
    assert releases.is_supported("9" * 5000)
