"""Where a base comes from: a folder, or a hub, which here is a small one on loopback."""

import hashlib
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler

import pytest

from builder import project
from builder.bases import base, choose, download, families, fetch
from builder.data.template import Template
from builder.engine import pipeline
from builder.engine.inputs import Tree
from builder.errors import ToolError
from builder.machine import Machine
from builder.stages import base as stage
from builder.terminal.console import Console
from tests import loopback
from tests.bases.checkpoints import make_tiny_base, write_base
from tests.conftest import LENIENT, build_of, find_port, run_persona, run_stage

REPOSITORY = "acme/tiny-smollm2"
COMMIT = "c0ffee" * 6 + "c0ff"
MANIFEST = (
    f'[identity]\nname = "Luma"\nauthor = "Ana"\n[base]\ncpu = "{REPOSITORY}"\n'
    f'gpu = "{REPOSITORY}"\n[training]\nmax_steps = 2\nreplay = 0\n[data]\nheld_out = 0\n' + LENIENT
)


class FakeHub(BaseHTTPRequestHandler):
    """Answers what huggingface_hub asks of one repository.

    Of others it describes those of `gated`, whose files it keeps; is broken for those of `broken`;
    and answers a page of its own, as a café's network does, for those of `cafe`.
    """

    folder = None
    asked: list[str]

    def do_GET(self):
        """Describe the repository, or send a file."""
        self._answer(body=True)

    def do_HEAD(self):
        """Describe a file."""
        self._answer(body=False)

    def _answer(self, *, body: bool):
        path = self.path.split("?")[0]
        self.asked.append(path)
        if path.startswith(f"/api/models/{REPOSITORY}/tree/"):
            files = [
                {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": "0" * 40}
                for file in self.folder.iterdir()
            ]
            self._send(json.dumps(files).encode(), "application/json", body=body)
        elif path in (f"/api/models/{REPOSITORY}", f"/api/models/{REPOSITORY}/revision/{COMMIT}"):
            siblings = [{"rfilename": file.name} for file in self.folder.iterdir()]
            self._send(
                json.dumps({"id": REPOSITORY, "sha": COMMIT, "siblings": siblings}).encode(),
                "application/json",
                body=body,
            )
        elif (
            path.startswith(f"/{REPOSITORY}/resolve/{COMMIT}/")
            and (self.folder / path.rsplit("/", 1)[1]).is_file()
        ):
            self._send(
                (self.folder / path.rsplit("/", 1)[1]).read_bytes(),
                "application/octet-stream",
                body=body,
            )
        elif path == "/api/models/gated/tiny":
            siblings = [{"rfilename": name} for name in ("config.json", "model.safetensors")]
            facts = {"id": "gated/tiny", "sha": COMMIT, "siblings": siblings}
            self._send(json.dumps(facts).encode(), "application/json", body=body)
        elif path.startswith("/api/models/gated/tiny/tree/"):
            files = [{"type": "file", "path": "config.json", "size": 2, "oid": "0" * 40}]
            self._send(json.dumps(files).encode(), "application/json", body=body)
        elif path.startswith("/gated/"):
            self._refuse(403, "GatedRepo")
        elif path.startswith("/api/models/broken/"):
            self._refuse(500, "")
        elif path.startswith("/api/models/cafe/"):
            self._send(b"<html>Welcome</html>", "text/html", body=body)
        else:
            self._refuse(404, "RepoNotFound")

    def _refuse(self, status: int, code: str):
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, content: bytes, kind: str, *, body: bool):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_):
        """Say nothing."""


def reaching(hub, home):
    """Give the environment in which huggingface_hub asks *hub*, and caches in *home*."""
    direct = {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
    return {"HF_ENDPOINT": hub, "HF_HOME": str(home), **direct}


@pytest.fixture
def hub(tmp_path_factory):
    """Serve a tiny base on loopback; give the environment that finds it, and what was asked."""
    folder = tmp_path_factory.mktemp("repository")
    make_tiny_base(folder)
    asked: list[str] = []
    with loopback.serving(FakeHub, folder=folder, asked=asked) as port:
        yield reaching(f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("hub")), asked


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_what_is_no_file_in_a_folder_base_is_refused(tmp_path, make):
    """A pipe would be waited for without an end, and a link to nothing ends a build late."""
    folder = write_base(tmp_path / "base", {"model_type": "llama"})
    choose.check_folder(str(folder))
    make(folder / "generation_config.json")

    with pytest.raises(ToolError, match=r"generation_config\.json: is a pipe, a device or a link"):
        choose.check_folder(str(folder))


@pytest.mark.slow
def test_a_hub_base_is_pinned_fetched_once_and_kept(luma, hub):
    """The first build pins the commit and fetches; the next, offline and anew, uses the cache."""
    environment, asked = hub
    root = luma.parent.parent
    (luma / "persona.toml").write_text(MANIFEST)

    first = run_persona("build", "luma", cwd=root, **environment)
    assert "export    done" in first.stderr, first.stderr
    pinned = json.loads((luma / "base.lock").read_text())[REPOSITORY]
    assert pinned["revision"] == pinned["train_revision"] == COMMIT

    asked.clear()
    assert run_persona("clean", "luma", "--yes", cwd=root).returncode == 0
    again = run_persona("build", "luma", cwd=root, **{**environment, "HF_HUB_OFFLINE": "1"})
    assert "export    done" in again.stderr, again.stderr
    assert asked == []


def refused(folder, source, **environment):
    """Build a persona that grows from *source*, and give the error's one sentence and the hint."""
    (folder / "persona.toml").write_text(MANIFEST.replace(REPOSITORY, source))
    done = run_persona("build", "luma", cwd=folder.parent.parent, **environment)

    assert done.returncode == 1, done.stderr
    assert done.stderr.count("error: ") == 1
    said, _, hint = done.stderr.partition("error: ")[2].partition("hint: ")
    assert len(said.splitlines()) == 1
    return said.strip(), hint.strip()


def test_a_hub_base_that_is_not_in_the_cache_is_one_sentence(luma):
    """Offline: the message names the repository, the reason, and a way that needs no hub."""
    said, hint = refused(luma, REPOSITORY)

    assert said.startswith(f"{REPOSITORY}: is not in the cache")
    assert "HF_HUB_OFFLINE" in said
    assert f"--base {base.EMBEDDED}" in hint


@pytest.mark.parametrize("is_pinned", [False, True])
def test_a_hub_out_of_reach_is_one_sentence(luma, is_pinned):
    """A port where nobody listens: asked for the revision, and for the files of a pinned one."""
    if is_pinned:
        pinned = {"revision": COMMIT, "train_source": REPOSITORY, "train_revision": COMMIT}
        (luma / "base.lock").write_text(json.dumps({REPOSITORY: pinned}))
    hub = f"http://127.0.0.1:{find_port()}"
    said, hint = refused(luma, REPOSITORY, **reaching(hub, luma.parent.parent / "hub"))

    assert said.startswith(f"{REPOSITORY}: {hub} cannot be reached (")
    assert "refused" in said
    assert f"--base {base.EMBEDDED}" in hint


@pytest.mark.parametrize(
    ("source", "problem", "way"),
    [
        ("acme/nothing", "acme/nothing: is not on http://127.0.0.1:", "HF_TOKEN"),
        ("gated/tiny", "gated/tiny: is gated, expected that its owner gave you access", "HF_TOKEN"),
        ("broken/tiny", "broken/tiny: http://127.0.0.1:", "build later"),
        ("cafe/tiny", "cafe/tiny: http://127.0.0.1:", "HF_ENDPOINT"),
        ("acme/tiny/a", f"acme/tiny/a: is not a base, expected {base.KINDS}", base.WITHOUT_HUB),
        ("acme/ti ny", f"acme/ti ny: is not a base, expected {base.KINDS}", base.WITHOUT_HUB),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(luma, hub, source, problem, way):
    """What huggingface_hub and httpx raise is told with the repository's name and a way out."""
    said, hint = refused(luma, source, **hub[0])

    assert said.startswith(problem)
    assert way in hint


@pytest.mark.parametrize(
    ("source", "close"),
    [
        ("smolm2-135m-instruct", base.EMBEDDED),
        ("SmolLM2-135M-Instruct", base.EMBEDDED),
        ("gpuu", "gpu"),
        ("llama", None),
    ],
)
def test_a_name_without_an_owner_says_what_a_base_may_be(source, close):
    """What is neither embedded nor a folder is not asked of the hub; a misspelling is guessed."""
    with pytest.raises(ToolError) as caught:
        choose.resolve(source, {})

    assert str(caught.value).startswith(f"{source}: is not a base, expected {base.KINDS}")
    assert str(caught.value).partition("did you mean ")[2] == (f"'{close}'?" if close else "")


def test_a_folder_is_a_base(luma, tmp_path):
    """A folder is pinned by its content, and a changed file of it makes the base stale."""
    folder = write_base(tmp_path / "tiny-smollm2", {})
    before = choose.resolve(str(folder), {}).revision
    (folder / "config.json").write_text('{"a": 1}')

    assert stage.inputs(build_of(luma, base=str(folder))).folder == Tree(folder)
    assert choose.resolve(str(folder), {}).revision != before
    with pytest.raises(ToolError, match="no such folder"):
        choose.resolve("./nowhere", {})
    with pytest.raises(ToolError, match="contains no config"):
        choose.resolve(str(tmp_path), {})


@pytest.mark.parametrize("kind", ["never built", "built"])
def test_a_folder_that_is_no_base_is_not_read(luma, tmp_path, grow, kind):
    """A home folder given by mistake is refused by the names in it, with a build or without one."""
    if kind == "built":
        assert grow() == "cpu"
    folder = tmp_path / "home"
    (folder / "sub").mkdir(parents=True)
    os.mkfifo(folder / "sub" / "pipe")  # whose reader waits for ever

    with pytest.raises(ToolError, match=r"contains no config\.json"):
        pipeline.run(build_of(luma, base=str(folder)), (stage,), Console())


def test_the_choice_is_kept(luma):
    """A typed base stays until another is typed; one the manifest no longer names does not."""
    build = build_of(luma)
    facts = {**dict.fromkeys(base.Base.__dataclass_fields__, ""), "source": "acme/other"}
    build.base.mkdir(parents=True)
    (build.base / base.FACTS).write_text(json.dumps(facts))
    build.base_choice.write_text('{"base": "acme/other"}')
    assert stage.inputs(build).source == "acme/other"

    build.base_choice.unlink()
    named = build.persona.manifest.base
    assert stage.inputs(build).source in (named.cpu, named.gpu)
    assert stage.inputs(build_of(luma, base="cpu")).source == named.cpu


@pytest.fixture
def grow(luma, tmp_path, monkeypatch):
    """Build the base stage alone, on a made-up machine, as a person would, and tell what from."""
    bases = {name: str(write_base(tmp_path / name, {})) for name in ("gpu", "cpu", "other", "new")}

    def build(typed=None, *, kind="cpu", four_bit=True, **named):
        gpu, cpu = (bases[named.get(key, key)] for key in ("gpu", "cpu"))
        manifest = f'[identity]\nname = "L"\nauthor = "A"\n[base]\ngpu = "{gpu}"\ncpu = "{cpu}"\n'
        manifest += f"[training]\nfour_bit = {str(four_bit).lower()}\n"
        (luma / "persona.toml").write_text(manifest)
        machine = Machine(kind, "made up", has_bf16=True)
        monkeypatch.setattr(project, "find_machine", lambda: machine)
        made = build_of(luma, base=typed if typed in ("gpu", "cpu", None) else bases[typed])
        pipeline.run(made, (stage,), Console())
        assert [one.reasons for one in pipeline.plan(build_of(luma), (stage,)).judgements] == [[]]
        return next(name for name, folder in bases.items() if folder == made.read_base().source)

    return build


def test_a_typed_base_stays_when_the_base_stage_runs_again(grow, monkeypatch):
    """After a changed setting, or with a new version of the stage, it is what was typed still."""
    assert grow("other") == "other"
    assert grow(four_bit=False) == "other"
    assert grow(four_bit=False) == "other"
    monkeypatch.setattr(stage, "VERSION", stage.VERSION + 1)
    assert grow(four_bit=False) == "other"
    assert grow() == "other"
    assert grow(kind="gpu") == "other"
    assert grow("new") == "new"
    assert grow() == "new"


@pytest.mark.parametrize("is_trained", [False, True])
def test_a_gpu_goes_on_in_four_bit_before_it_is_trained(grow, luma, is_trained):
    """Begun on a CPU, `four_bit` counts on the GPU; a trained build stays as it is."""
    grow("other")
    assert not build_of(luma).read_base().four_bit
    if is_trained:
        build_of(luma).adapter.mkdir()
    grow(kind="gpu")

    assert build_of(luma).read_base().four_bit is not is_trained


def test_typed_cpu_and_gpu_are_remembered_as_such(grow):
    """Beside a GPU `--base cpu` is the manifest's cpu, as it becomes, until gpu is typed."""
    assert grow(kind="gpu") == "gpu"
    assert grow("cpu", kind="gpu") == "cpu"
    assert grow(kind="gpu") == "cpu"
    assert grow(kind="gpu", cpu="new") == "new"
    assert grow("gpu", kind="gpu") == "gpu"
    assert grow(kind="cpu") == "gpu"
    assert grow(kind="gpu", gpu="new") == "new"


def test_typing_what_was_chosen_trains_nothing_anew(grow, luma):
    """What was typed is remembered where nothing else changes, and base.json stays as it is."""
    assert grow() == "cpu"
    before = (build_of(luma).base / "base.json").read_bytes()
    assert grow("cpu") == "cpu"

    assert (build_of(luma).base / "base.json").read_bytes() == before
    assert grow(kind="gpu", cpu="new") == "new"


@pytest.mark.parametrize(
    ("config", "family"),
    [
        ({"model_type": "llama", "vocab_size": 49152}, "smollm2"),
        ({"model_type": "falcon"}, "derived (falcon)"),
    ],
)
def test_the_family_is_recorded(luma, tmp_path, caplog, config, family):
    """base.json names the family that a base's files tell; one that is derived is told."""
    build = build_of(luma, base=str(write_base(tmp_path / "mine", config)))
    pipeline.run(build, (stage,), Console())

    assert json.loads((build.base / base.FACTS).read_text())["family_name"] == family
    assert build.read_base().family.name == family
    assert ("of no family" in caplog.text) == family.startswith("derived")


def test_a_base_is_refused_before_its_weights_are_fetched(luma, tmp_path, monkeypatch):
    """A repository by its list of files, a folder by its config: nothing is written of either."""
    listing = fetch.Listing(COMMIT, ("config.json", "model-Q4_K_M.gguf"))
    monkeypatch.setattr(fetch, "describe", lambda _: listing)
    with pytest.raises(ToolError, match="acme/thing-GGUF: contains GGUF files"):
        choose.resolve("acme/thing-GGUF", {})

    folder = write_base(tmp_path / "mine", {"model_type": "qwen3_moe", "num_experts": 128})
    build = build_of(luma, base=str(folder))
    with pytest.raises(ToolError, match="is a mixture of experts"):
        run_stage(stage, build)
    assert not build.base.exists()


@pytest.mark.parametrize(("eos", "advised"), [("<|im_end|>", "chatml"), ("</s>", "alpaca")])
def test_a_template_that_is_advised_can_be_trained(tmp_path, eos, advised):
    """A base without a chat template is advised one whose replies end with its own EOS."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=eos).save_pretrained(tmp_path)
    other = families.find("")

    with pytest.raises(ToolError, match="has no chat template") as told:
        Template(tmp_path, "base", other)

    assert told.value.hint == f'set data.template = "{advised}"'
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]
    assert Template(tmp_path, advised, other).encode(turns).loss_mask[-1]


def test_a_fetch_says_how_far_it_is(caplog):
    """The bytes huggingface_hub fetches are reported as progress, by the name of its bar."""
    caplog.set_level("INFO", logger="builder")
    bar = download.make_bar("fetches the base")(
        desc="Reconstructing", total=30_000_000, unit="B", name="huggingface_hub.snapshot_download"
    )
    bar.update(20_000_000)
    bar.close()

    assert [record.progress.total for record in caplog.records] == [30] * len(caplog.records)
    assert caplog.records[-1].progress.done == 20


def test_two_builds_may_unpack_the_embedded_base_at_once(monkeypatch, tmp_path):
    """Whoever is second waits for the first; nothing half-written stays, of a kill either."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    chosen = base.Base(base.EMBEDDED, "embedded", "test", base.EMBEDDED, "test", four_bit=False)
    killed = tmp_path / "persona" / ".smollm2-135m-instruct-test-v1.tmp"
    killed.mkdir(parents=True)
    (killed / "model.safetensors").write_text("half")
    written = []

    def write(_source, folder):
        written.append(sorted(folder.iterdir()))
        time.sleep(0.2)
        (folder / "model.safetensors").write_text("whole")

    monkeypatch.setattr("builder.bases.checkpoint.write_checkpoint", write)
    with ThreadPoolExecutor(2) as pool:
        found = set(pool.map(fetch.find_weights, [chosen, chosen]))

    (folder,) = found
    assert written == [[]]
    assert (folder / "model.safetensors").read_text() == "whole"
    assert [path for path in folder.parent.iterdir() if path.suffix != ".lock"] == [folder]


@pytest.mark.parametrize("text", ["[]", "null", "{", '{"smollm2-135m-instruct": "x"}'])
def test_a_damaged_lock_is_told(luma, text):
    """A base.lock that is no table of bases is one sentence with what to do."""
    (luma / "base.lock").write_text(text)

    with pytest.raises(ToolError, match="is not a table of bases") as told:
        stage.inputs(build_of(luma, base=base.EMBEDDED))
    assert told.value.hint.startswith("delete ")


LARGE = {
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_attention_heads": 32,
    "num_hidden_layers": 36,
    "vocab_size": 151936,
}
SMALL = {**LARGE, "hidden_size": 512, "intermediate_size": 1024}


@pytest.mark.parametrize(
    ("config", "training", "kind", "four_bit"),
    [
        (LARGE, "", "gpu", True),
        (LARGE, "four_bit = false", "gpu", False),
        (LARGE, "four_bit = true", "cpu", False),
        (SMALL, "", "gpu", False),
        (SMALL, "four_bit = true", "gpu", True),
        ({}, "", "gpu", True),
    ],
)
def test_a_gpu_trains_large_bases_in_four_bit(with_training, config, training, kind, four_bit):
    """The manifest decides, and where it is silent the size: a small base loses too much."""
    build = with_training(training, kind, {"model_type": "llama", "vocab_size": 49152, **config})

    pipeline.run(build, (stage,), Console())

    assert build.read_base().four_bit == four_bit


@pytest.fixture
def with_training(luma, tmp_path, monkeypatch):
    """Give a build of a base of a config, on a made-up machine, with lines of `[training]`."""

    def make(training, kind, config):
        with (luma / "persona.toml").open("a") as file:
            file.write(f"\n[training]\n{training}\n")
        machine = Machine(kind, "made up", has_bf16=True)
        monkeypatch.setattr(project, "find_machine", lambda: machine)
        return build_of(luma, base=str(write_base(tmp_path / "mine", config)))

    return make


@pytest.mark.parametrize("source", ["~nobody-has-this-name/base", "~nobody-has-this-name"])
def test_the_home_of_nobody_is_a_sentence(source):
    """Python raises a RuntimeError of it."""
    with pytest.raises(ToolError, match="~nobody-has-this-name is not a user"):
        choose.resolve(source, {})
