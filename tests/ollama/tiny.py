"""A GGUF of a few kilobytes that Ollama takes."""

from pathlib import Path

from builder import files

TOKENS = ["<unk>", "<|im_start|>", "<|im_end|>", "a", "b", "c"]


def write_tiny(path: Path) -> None:
    """Write a llama of one layer and six tokens."""
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(32)
    writer.add_file_type(0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(TOKENS)
    writer.add_token_types([1, 3, 3, 1, 1, 1])
    writer.add_token_merges([])
    writer.add_eos_token_id(2)
    square = np.zeros((32, 32), np.float32)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        writer.add_tensor(f"blk.0.{name}.weight", square)
    for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(32, np.float32))
    writer.add_tensor("token_embd.weight", np.zeros((len(TOKENS), 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def put(daemon, path: Path, name: str) -> None:
    """Make a model of a file as a person would."""
    sha256 = files.sha256(path)
    daemon.upload(path, sha256)
    daemon.create({"model": name, "files": {"tiny.gguf": f"sha256:{sha256}"}})
