"""The rendered Modelfile, read by the real `ollama create -f`."""

import os
import subprocess

import pytest

from builder import files
from builder.bases.families import CHATML_GO
from builder.ollama import client, modelfile
from builder.ollama.served import Served
from tests.conftest import OLLAMA, ROOT
from tests.ollama.tiny import write_tiny

PARAMETERS = {
    "temperature": 0.7,
    "top_k": 40,
    "num_ctx": 512,
    "use_mmap": True,
    "stop": ["<|im_end|>", "a b", 'say "x"', " # no comment"],
}


@pytest.mark.parametrize("template", [CHATML_GO, None])
@pytest.mark.parametrize(
    "system",
    [
        "You are Luma.",
        'two\nlines, "quoted"',
        'x = """y""" z',
        "# no comment\nFROM elsewhere",
        "  blanks \n\n",
        "I am 露娜 é",
        None,
    ],
)
def test_the_cli_makes_what_the_api_makes(served, tmp_path, system, template):
    """`ollama create -f` and registration's own request give one system text and parameters."""
    gguf = tmp_path / "model.gguf"
    write_tiny(gguf)
    told = Served(
        model="luma:latest",
        parameters=PARAMETERS,
        template=template,
        system=system,
        license="Apache-2.0",
    )
    path = tmp_path / "Modelfile"
    path.write_text(modelfile.render(ROOT / "Modelfile.j2", told, "Luma", "tiny"))
    done = subprocess.run(
        [str(OLLAMA), "create", "by-cli", "-f", str(path)],
        env={**os.environ, "OLLAMA_HOST": served},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    daemon = client.connect(allow_remote=False)
    daemon.create({**told.to_request(files.sha256(gguf)), "model": "by-api"})

    by_cli, by_api = daemon.show("by-cli"), daemon.show("by-api")
    assert by_cli.system == by_api.system == (system or "")
    assert sorted(by_cli.parameters.splitlines()) == sorted(by_api.parameters.splitlines())
    for key, value in told.list_parameters():
        assert modelfile.is_shown(by_cli.parameters, key, value), (key, value)
