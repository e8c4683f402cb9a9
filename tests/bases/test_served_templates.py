"""Chat templates in llama-server, by which Ollama serves: prompts written, and calls read back."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.bases import chat_template, families
from builder.bases.family import TEMPLATES
from builder.data.calls import parse_calls
from tests.bases.checkpoints import make_tiny_base
from tests.conftest import NO_OLLAMA, OLLAMA, find_port
from tests.gates.test_parity import HARD_CALLS, HARD_TOOLS, WITH_TOOLS
from tests.gguf.test_families import export_as

MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": " Hi \n"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "2+2?"},
]
# Of the embedded base, whose vocabulary takes the place of every family's.
TOKENS = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}
EMBEDDED_END_ID = 2
START_TIMEOUT_S = 60
SERVED = [one for one in WITH_TOOLS if not families.find(one.values[0].family).ollama_renderer]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Write a file with the embedded base's vocabulary, whose two layers read prompts at once."""
    folder = tmp_path_factory.mktemp("tiny")
    make_tiny_base(folder)
    export_as(folder, None, folder / "model.gguf")
    return folder / "model.gguf"


@contextmanager
def serve(model, template, log):
    """Start Ollama's llama-server with a chat template; give its address."""
    server = Path(OLLAMA).resolve().parent.parent / "lib" / "ollama" / "llama-server"
    if not server.is_file():
        pytest.skip(f"{server} is not there: this Ollama has its helpers elsewhere")
    port = find_port()
    address = ["--host", "127.0.0.1", "--port", str(port), "--offline", "--no-warmup"]
    model = ["-m", str(model), "-c", "1024"]
    jinja = ["--jinja", "--chat-template-file", str(template)]
    with log.open("w") as file:
        process = subprocess.Popen([server, *model, *jinja, *address], stdout=file, stderr=file)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def ask(address, route, **body):
    """Ask a route, once the model is loaded."""
    content = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}{route}", json.dumps(body).encode(), content)
    end = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except OSError as error:
            is_loading = not isinstance(error, urllib.error.HTTPError) or error.code == 503
            if not is_loading or time.monotonic() > end:
                raise
            time.sleep(0.2)


def continue_reply(address, messages, reply):
    """Have a reply's words parsed: the model adds its end-of-turn token, and nothing else."""
    answer = ask(
        address,
        "/v1/chat/completions",
        messages=[*messages, {"role": "assistant", "content": reply}],
        tools=HARD_TOOLS,
        continue_final_message=True,
        add_generation_prompt=False,
        max_tokens=1,
        logit_bias=[[EMBEDDED_END_ID, 100]],
    )
    return answer["choices"][0]["message"]


@pytest.mark.skipif(OLLAMA is None, reason=NO_OLLAMA)
@pytest.mark.parametrize("name", sorted(path.stem for path in TEMPLATES.glob("*.jinja")))
def test_llama_cpp_renders_a_replacement_as_jinja2_does(tiny, tmp_path, name):
    """The prompt that Ollama's own server makes of it is the one that training sees."""
    path = TEMPLATES / f"{name}.jinja"
    with serve(tiny, path, tmp_path / "log") as address:
        served = ask(address, "/apply-template", messages=MESSAGES)["prompt"]

    jinja = path.read_text("utf-8")
    trained = chat_template.render(jinja, MESSAGES, TOKENS, add_generation_prompt=True)
    assert served == trained


@pytest.mark.skipif(OLLAMA is None, reason=NO_OLLAMA)
@pytest.mark.parametrize("original", SERVED)
def test_a_call_is_read_back_as_it_was_trained(tiny, tmp_path, original):
    """llama.cpp tells calls from words by the chat template: what is trained comes back whole.

    Sent again by a client, it gives the trained text, where the template is the project's own.
    """
    jinja = families.find(original.family).chat_template(original.read_template())
    path, question = tmp_path / "template.jinja", [{"role": "user", "content": "Hi"}]
    path.write_text(jinja)
    options = {"tools": HARD_TOOLS, "add_generation_prompt": True}
    prompt = chat_template.render(jinja, question, TOKENS, **options)
    replies = [{"content": "We go."}]
    replies += [{"content": "", "tool_calls": calls} for calls in (HARD_CALLS, HARD_CALLS[1:])]
    replies += [{"content": "We go.", "tool_calls": HARD_CALLS[:1]}]
    with serve(tiny, path, tmp_path / "log") as address:
        for said in replies:
            (_, reply) = messages = original.fit_calls([*question, {"role": "assistant", **said}])
            whole = chat_template.render(jinja, messages, TOKENS, tools=HARD_TOOLS)
            assert whole.startswith(prompt)
            written = whole.removeprefix(prompt).removesuffix("\n")
            written = written.removesuffix(families.find(original.family).end_of_turn)
            read = continue_reply(address, question, written.removesuffix(TOKENS["eos_token"]))
            found = parse_calls([one["function"] for one in read.get("tool_calls", [])], "")

            assert found == reply.get("tool_calls", [])
            assert read["content"].rstrip("\n") == reply["content"]
            if families.find(original.family).replacement:
                again = [*question, {**reply, "content": read["content"]}]
                assert chat_template.render(jinja, again, TOKENS, tools=HARD_TOOLS) == whole
