"""A build that was hardly trained goes on elsewhere, and is loaded by transformers."""

import shutil

import transformers

from tests.conftest import ROOT, run_persona


def test_what_is_unpacked_is_asked_and_not_trained_again(short, tmp_path):
    """In another project a build runs its gates, which refuse it there too, and nothing before."""
    root, _ = short
    shutil.copy(ROOT / "Modelfile.j2", tmp_path)
    out = tmp_path / "luma.persona"
    packed = run_persona("pack", "luma", "--output", str(out), cwd=root)
    assert packed.returncode == 0, packed.stderr
    assert "without smoke.json" in packed.stderr

    unpacked = run_persona("unpack", str(out), cwd=tmp_path)
    assert unpacked.returncode == 0, unpacked.stderr
    built = run_persona("build", "luma", cwd=tmp_path, OLLAMA_HOST="")

    lines = {line.split()[0]: line for line in built.stderr.splitlines() if line.strip()}
    for stage in ("base", "data", "render", "replay", "train", "record", "ask", "export", "parity"):
        assert lines[stage].split()[1] == "fresh", lines[stage]
    assert "error: manifest: 'Who are you?' is answered" in built.stderr


def test_the_merged_model_is_loaded_by_transformers(short):
    """`persona merged` trains nothing again, prints its folder, and is fresh the second time."""
    root, _ = short
    done = run_persona("merged", "luma", cwd=root)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "build/luma/merged\n"

    folder = root / "build" / "luma" / "merged"
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    answer = model.generate(**prompt, do_sample=False, max_new_tokens=8)[0]
    assert len(answer) > prompt["input_ids"].shape[1]
    assert model.generation_config.eos_token_id == [tokenizer.eos_token_id]

    again = run_persona("merged", "luma", cwd=root)
    assert "merged    fresh" in again.stderr
