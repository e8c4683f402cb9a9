"""The merged stage: what it declares, and that the folder is served as Ollama serves the file."""

import json

import pytest
import transformers

from builder.engine import freshness
from builder.engine.hashes import Hashes
from builder.stages import base, data, merged
from tests.bases.checkpoints import make_tiny_base
from tests.conftest import build_of, run_stage
from tests.gguf.test_families import add_adapter


@pytest.fixture
def build(luma, tmp_path_factory):
    """Give a build on a small random base, with an adapter that nobody trained."""
    tiny = tmp_path_factory.mktemp("tiny")
    make_tiny_base(tiny)
    build = build_of(luma, base=str(tiny))
    for light in (base, data):
        run_stage(light, build)
    add_adapter(transformers.AutoModelForCausalLM.from_pretrained(tiny), build.adapter)
    return build


def test_it_is_served_as_ollama_is_told(build):
    """Sampling, the turn's end and the template are those of the Modelfile and of training."""
    summary = run_stage(merged, build)

    assert summary.endswith("every adapted layer in it")
    settings = transformers.GenerationConfig.from_pretrained(build.merged)
    told = build.decide_served().parameters
    assert settings.temperature == told["temperature"]
    assert settings.top_k == told["top_k"]
    assert settings.max_new_tokens == told["num_predict"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(build.merged)
    assert tokenizer.convert_ids_to_tokens(settings.eos_token_id) == told["stop"]
    assert tokenizer.chat_template == (build.dataset / "chat_template.jinja").read_text()


def test_a_changed_parameter_is_a_reason(build, luma):
    """What is served is declared: another temperature makes the folder stale, by its name."""
    hashes = Hashes(build.folder)
    before = freshness.describe(merged, build, merged.inputs(build), hashes)
    path = luma / "persona.toml"
    path.write_text(path.read_text() + "[ollama.parameters]\ntemperature = 0.9\n")
    changed = build_of(luma, base=build.options.base)
    after = freshness.describe(merged, changed, merged.inputs(changed), hashes)

    (reason,) = freshness.compare(before, after)
    assert reason.startswith("ollama.parameters.temperature is now 0.9")
    assert json.dumps(after.inputs).count("adapter/") == 2
