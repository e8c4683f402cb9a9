"""Replacement chat templates rendered by llama-server, as Ollama serves them."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.bases import chat_template, embedded
from builder.bases.family import TEMPLATES
from tests.conftest import NO_OLLAMA, OLLAMA, find_port

MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": " Hi \n"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "2+2?"},
]
# Of the embedded base, whose file stands in for every family's.
TOKENS = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}
START_TIMEOUT_S = 60


@contextmanager
def serve(template, log):
    """Start Ollama's llama-server with a chat template; give its address."""
    server = Path(OLLAMA).resolve().parent.parent / "lib" / "ollama" / "llama-server"
    if not server.is_file():
        pytest.skip(f"{server} is not there: this Ollama has its helpers elsewhere")
    port = find_port()
    address = ["--host", "127.0.0.1", "--port", str(port), "--offline", "--no-warmup"]
    model = ["-m", str(embedded.find_package()), "-c", "512"]
    jinja = ["--jinja", "--chat-template-file", str(template)]
    with log.open("w") as file:
        process = subprocess.Popen([server, *model, *jinja, *address], stdout=file, stderr=file)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def ask(address):
    """Ask for the prompt of the messages, once the model is loaded."""
    content = {"Content-Type": "application/json"}
    body = json.dumps({"messages": MESSAGES}).encode()
    request = urllib.request.Request(f"{address}/apply-template", body, content)
    end = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)["prompt"]
        except OSError as error:
            is_loading = not isinstance(error, urllib.error.HTTPError) or error.code == 503
            if not is_loading or time.monotonic() > end:
                raise
            time.sleep(0.2)


@pytest.mark.skipif(OLLAMA is None, reason=NO_OLLAMA)
@pytest.mark.parametrize("name", sorted(path.stem for path in TEMPLATES.glob("*.jinja")))
def test_llama_cpp_renders_a_replacement_as_jinja2_does(tmp_path, name):
    """The prompt that Ollama's own server makes of it is the one that training sees."""
    path = TEMPLATES / f"{name}.jinja"
    with serve(path, tmp_path / "log") as address:
        served = ask(address)

    jinja = path.read_text("utf-8")
    trained = chat_template.render(jinja, MESSAGES, TOKENS, add_generation_prompt=True)
    assert served == trained
