"""The training step: packing, padding and compiling change no loss; A and B have own rates."""

import logging
import math

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig

from builder.bases import families
from builder.data.dataset import Example
from builder.data.template import IGNORED
from builder.engine.stage import Checkpoint
from builder.errors import ToolError
from builder.machine import Gpu, Machine
from builder.manifest.training import Training
from builder.training import failures
from builder.training.batches import pack, pad
from builder.training.checkpoints import (
    CAPTURED,
    find_newest_checkpoint,
    read_progress,
    tell_unused_checkpoint,
)
from builder.training.choices import (
    COMPILE_FROM_STEPS,
    choose_attention,
    is_worth_compiling,
)
from builder.training.compiling import compile_layers
from builder.training.loss import TEXTS_AT_ONCE, log_probs, next_token_loss
from builder.training.settings import resolve
from builder.training.tracking import Tracker
from builder.training.trainer import PersonaTrainer, Reporter, name_rows


def make_row(first, length):
    """A row whose first two tokens are its prompt."""
    ids = list(range(first, first + length))
    return {"input_ids": ids, "labels": [IGNORED, IGNORED, *ids[2:]]}


ROWS = [make_row(3, 7), make_row(40, 4), make_row(11, 9)]


def make_model(attention="sdpa"):
    """A tiny Llama with an adapter that is not zero."""
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        attn_implementation=attention,
    )
    model = get_peft_model(
        LlamaForCausalLM(config),
        LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False),
    )
    return model.train()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("collate", [pack, pad])
def test_rows_in_one_batch_teach_what_each_teaches_alone(attention, collate):
    """Neither a neighbour in the pack nor padding changes a row's loss, by any attention."""
    model = make_model(attention)
    learnt = [sum(label != IGNORED for label in row["labels"]) for row in ROWS]
    alone = sum(
        next_token_loss(make_model(), pad([row])) * count
        for row, count in zip(ROWS, learnt, strict=True)
    ) / sum(learnt)

    together = next_token_loss(model, collate(ROWS))

    assert together.item() == pytest.approx(alone.item(), abs=1e-5)


def test_a_packed_row_does_not_see_its_neighbour():
    """Another neighbour leaves a row's hidden states as they were."""
    model = make_model().get_base_model().model

    def hidden(neighbour):
        batch = pack([neighbour, ROWS[0]])
        batch.pop("labels")
        return model(**batch)[0][0, -len(ROWS[0]["input_ids"]) :]

    assert torch.allclose(hidden(make_row(20, 5)), hidden(make_row(50, 5)), atol=1e-6)


def test_texts_side_by_side_are_followed_as_each_alone():
    """Neither padding, nor another text, nor the batch size changes what a model finds likely."""
    model = make_model().eval()
    texts = [list(range(3, 3 + length)) for length in (7, 4, 9, *[5] * TEXTS_AT_ONCE)]

    together = list(log_probs(model, texts))

    assert [found.shape for found in together] == [(len(text), 64) for text in texts]
    for text, found in zip(texts, together, strict=True):
        assert found == pytest.approx(next(log_probs(model, [text])), abs=1e-5)


def make_trainer(folder, examples, request):
    """Make a trainer of rows as a CPU's training does, each row a step."""
    end = "</s>"
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel({end: 0})), eos_token=end, pad_token=end
    )
    arguments = SFTConfig(
        str(folder),
        per_device_train_batch_size=1,
        num_train_epochs=2,
        logging_steps=1,
        save_steps=100,
        remove_unused_columns=False,
        use_cpu=True,
        bf16=False,
        report_to="none",
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    rows = [
        {"input_ids": one.input_ids, "labels": one.labels, "row": at}
        for at, one in enumerate(examples)
    ]
    return PersonaTrainer(
        make_model(),
        arguments,
        name_rows(pad),
        Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[Reporter(8.0, Tracker(None), request)],
        learning_rate_ratio=1.0,
        examples=examples,
    )


def make_named_examples():
    """Three rows that ask for their own number."""
    return [
        Example([{"role": "user", "content": f"row {at}"}], row["input_ids"], row["labels"])
        for at, row in enumerate(ROWS)
    ]


def test_a_loss_that_is_no_number_names_its_row_on_a_cpu(tmp_path):
    """At the step in which it comes, with the question of the row that is in it."""
    trainer = make_trainer(tmp_path, make_named_examples(), failures.StopRequest())
    seen = []

    def spoil(_module, _arguments, options, output):
        seen.append(options["input_ids"][0, 0].item())
        return (output[0] * math.nan,) if len(seen) == 3 else output

    trainer.model.get_base_model().model.register_forward_hook(spoil, with_kwargs=True)
    with pytest.raises(ToolError) as stopped:
        trainer.train()

    row = next(at for at, row in enumerate(ROWS) if row["input_ids"][0] == seen[2])
    assert "became nan at step 3, expected a number" in stopped.value.problems[0]
    assert stopped.value.problems[1:] == (f"  'row {row}'",)


def test_a_request_to_stop_ends_training_with_a_checkpoint(tmp_path):
    """The step under way is finished and saved, from which a later training goes on."""
    request = failures.StopRequest()
    trainer = make_trainer(tmp_path, make_named_examples(), request)
    calls = []

    def ask(*_):
        calls.append(0)
        request.is_made = len(calls) == 2

    trainer.model.get_base_model().model.register_forward_hook(ask)
    trainer.train()

    assert trainer.state.global_step == 2
    found = find_newest_checkpoint(tmp_path)
    assert found.name == "checkpoint-2"
    assert read_progress(tmp_path, CPU) == Checkpoint(done=2, of=6)
    again = make_trainer(tmp_path, make_named_examples(), failures.StopRequest())
    again.train(resume_from_checkpoint=str(found))
    assert again.state.global_step == 6


CPU = Machine("cpu", "any", has_bf16=True)


@pytest.mark.parametrize("state", ["", "{", "[]", "{}", '{"global_step": "x", "max_steps": 3}'])
def test_a_checkpoint_that_tells_no_step_is_not_told(tmp_path, state):
    """What is damaged, or of another version, says nothing of how far a training came."""
    (tmp_path / "checkpoint-25").mkdir()
    (tmp_path / "checkpoint-25" / "trainer_state.json").write_text(state)
    assert read_progress(tmp_path, CPU) is None
    assert read_progress(tmp_path / "nowhere", CPU) is None


TOLD_CHECKPOINTS = {
    ("cpu", "gpu"): "was made on a CPU; on a GPU training begins anew",
    ("gpu", "cpu"): "was made on a GPU; on a CPU training begins anew",
}


@pytest.mark.parametrize("made_on", [(), ("cpu",), ("gpu",), ("cpu", "gpu")])
@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_a_checkpoint_of_the_other_kind_of_machine_is_told(tmp_path, caplog, made_on, kind):
    """It is said that training begins anew; beside one of this kind nothing is said."""
    if "cpu" in made_on:
        (tmp_path / "checkpoint-25").mkdir()
        (tmp_path / "checkpoint-25" / "trainer_state.json").write_text("{}")
    if "gpu" in made_on:
        (tmp_path / CAPTURED).write_bytes(b"x")
    tell_unused_checkpoint(tmp_path, Machine(kind, "any", has_bf16=True))

    told = TOLD_CHECKPOINTS.get((*made_on, kind))
    assert [record.getMessage() for record in caplog.records] == (
        [f"train: the checkpoint that is here {told}"] if told else []
    )


FULL = Gpu(
    name="T4",
    capability=(7, 5),
    cuda=(12, 4),
    driver="550",
    memory_bytes=15_000_000_000,
    free_bytes=1_000_000_000,
    processes=(41, 42),
)


def test_a_gpu_that_is_not_shared_is_one_sentence(monkeypatch):
    """Another process has it in CUDA's exclusive mode: less memory would not help."""
    monkeypatch.setattr(failures.machine, "inspect_gpu", lambda: FULL)

    with pytest.raises(ToolError) as told, failures.explaining_load("acme/base"):
        raise RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable")
    assert str(told.value) == (
        "acme/base: another process has the GPU for itself, expected to share it; "
        "processes 41, 42 use it"
    )
    assert "nvidia-smi" in told.value.hint


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        ValueError("Some modules are dispatched on the CPU or the disk."),
        RuntimeError("CUDA error: out of memory"),
    ],
)
def test_a_gpu_without_room_for_a_base_is_one_sentence(monkeypatch, error):
    """It says what is free and who has the rest; any other error stays as it is."""
    monkeypatch.setattr(failures.machine, "inspect_gpu", lambda: FULL)

    with pytest.raises(ToolError) as told, failures.explaining_load("acme/base"):
        raise error
    assert str(told.value) == (
        "acme/base: the GPU has no memory for its weights (1.0 of 15.0 GB free), expected room; "
        "processes 41, 42 use it"
    )
    assert "--base" in told.value.hint
    with pytest.raises(ToolError) as told, failures.explaining_load("acme", is_four_bit=False):
        raise error
    assert "training.four_bit = true" in told.value.hint
    with pytest.raises(ValueError, match="other"), failures.explaining_load("acme/base"):
        raise ValueError("other")


@pytest.mark.parametrize(
    ("optimizer", "library"), [("adamw_torch_fused", "torch"), ("adamw_8bit", "bitsandbytes")]
)
def test_the_halves_of_an_adapter_have_their_own_rates(tmp_path, optimizer, library):
    """B learns at the ratio's multiple of A's rate, and both decay, by either optimiser."""
    end = "</s>"
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel({end: 0})), eos_token=end, pad_token=end
    )
    arguments = SFTConfig(
        str(tmp_path),
        learning_rate=1e-3,
        weight_decay=0.01,
        optim=optimizer,
        max_steps=2,
        save_strategy="no",
        remove_unused_columns=False,
        use_cpu=True,
        bf16=False,
        report_to="none",
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    trainer = PersonaTrainer(
        make_model(),
        arguments,
        pack,
        Dataset.from_list(ROWS),
        processing_class=tokenizer,
        learning_rate_ratio=8.0,
    )

    groups = [group for group in trainer.create_optimizer().param_groups if group["params"]]

    assert [group["lr"] for group in groups] == pytest.approx([1e-3, 8e-3])
    assert [group["weight_decay"] for group in groups] == [0.01, 0.01]
    names = {id(weight): name for name, weight in trainer.model.named_parameters()}
    assert ["lora_A" in names[id(group["params"][0])] for group in groups] == [True, False]
    assert type(trainer.optimizer).__module__.partition(".")[0] == library
    before = [group["params"][0].detach().clone() for group in groups]
    trainer.train()
    for group, first in zip(groups, before, strict=True):
        assert not torch.equal(group["params"][0], first)


@pytest.mark.parametrize(
    ("tokens", "kind", "has_bf16", "attention"),
    [
        (440, "cpu", True, "eager"),
        (4096, "cpu", True, None),
        (440, "cpu", False, None),
        (440, "gpu", True, None),
    ],
)
def test_plain_attention_is_for_short_rows_in_bfloat16_on_a_cpu(tokens, kind, has_bf16, attention):
    """Its memory grows with the square of the length, and elsewhere the fused one is quicker."""
    assert choose_attention(tokens, Machine(kind, "any", has_bf16)) == attention


@pytest.mark.parametrize(
    ("change", "rows", "kind", "is_worth_it"),
    [
        ({}, COMPILE_FROM_STEPS * 4, "cpu", True),
        ({}, COMPILE_FROM_STEPS * 4 - 4, "cpu", False),
        ({"gradient_accumulation": 2}, COMPILE_FROM_STEPS * 4, "cpu", False),
        ({"max_steps": COMPILE_FROM_STEPS}, 4, "cpu", True),
        ({"max_steps": COMPILE_FROM_STEPS - 1}, COMPILE_FROM_STEPS * 4, "cpu", False),
        ({}, COMPILE_FROM_STEPS * 4, "gpu", False),
    ],
)
def test_layers_are_compiled_where_training_is_long_enough(change, rows, kind, is_worth_it):
    """Steps decide, those of `max_steps` before those of the rows, and on a CPU alone."""
    numbers = Training(**{"batch_size": 8, **change})
    settings = resolve(numbers, families.recognise({}, ""))
    machine = Machine(kind, "any", has_bf16=True)

    assert is_worth_compiling(settings, rows, 2.0, machine) is is_worth_it


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """Let torch compile into an empty cache, with nothing of another test in memory."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch.compiler.reset()
    with torch._dynamo.config.patch(suppress_errors=False):
        yield tmp_path


@pytest.fixture
def no_compiler(compiler):
    """Let torch find no C++ compiler."""
    with torch._inductor.config.patch({"cpp.cxx": (None, str(compiler / "no-such-compiler"))}):
        yield


@pytest.mark.slow
def test_compiled_layers_teach_the_same(compiler):
    """One compilation gives batches of any length the losses and gradients of plain layers."""
    plain, compiled = make_model(), make_model()
    compile_layers(compiled)
    layers = compiled.get_base_model().model.layers

    assert all(layer._compiled_call_impl for layer in layers)
    for rows in (ROWS, ROWS[:2], ROWS[1:]):
        losses = [next_token_loss(model, pack(rows)) for model in (plain, compiled)]
        for loss in losses:
            loss.backward()
        assert losses[1].item() == pytest.approx(losses[0].item(), abs=1e-5)
    gradients = [
        [weight.grad for weight in model.parameters() if weight.grad is not None]
        for model in (plain, compiled)
    ]
    assert len(gradients[0]) == len(gradients[1]) > 0
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(*gradients, strict=True))
    assert list(compiler.rglob("*.so"))


@pytest.mark.slow
@pytest.mark.usefixtures("no_compiler")
def test_a_layer_that_cannot_be_compiled_runs_as_it_is(monkeypatch):
    """What a small function did not show, a layer's failure to compile, does not end training."""
    compile_any = torch.compile
    monkeypatch.setattr(
        torch,
        "compile",
        lambda function, **options: compile_any(function, **options) if options else function,
    )
    model = make_model()
    compile_layers(model)

    assert model.get_base_model().model.layers[0]._compiled_call_impl
    assert next_token_loss(model, pack(ROWS)).item() == pytest.approx(
        next_token_loss(make_model(), pack(ROWS)).item(), abs=1e-6
    )


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_layers_stay_as_they_are(caplog):
    """Training goes on uncompiled, and says what it lacks."""
    model = make_model()
    with caplog.at_level(logging.WARNING, "builder"):
        compile_layers(model)

    assert "cannot be compiled" in caplog.text
    assert "python3-dev" in caplog.text
    assert not any(layer._compiled_call_impl for layer in model.get_base_model().model.layers)
    next_token_loss(model, pack(ROWS)).backward()
