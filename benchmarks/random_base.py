"""Writes a base of Qwen3-4B's shape with random weights, for a GPU where no hub can be reached.

Run as: python benchmarks/random_base.py FOLDER [--layers N]

Shape: config.json of Qwen/Qwen3-4B-Instruct-2507. Its model_type is qwen3; the tokenizer, and
with it the end-of-turn token, is the embedded base's.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

sys.path.insert(0, str(Path(__file__).parent.parent))

from builder.bases import fetch
from builder.bases.base import EMBEDDED, Base
from builder.data.builtin import CHATML

SHAPE = {
    "vocab_size": 151936,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 262144,
    "rope_theta": 5_000_000,
    "tie_word_embeddings": True,
}


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=36)
    options = parser.parse_args()
    embedded = fetch.find_weights(
        Base(EMBEDDED, "embedded", "benchmark", EMBEDDED, "benchmark", four_bit=False)
    )
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = Qwen3Config(
        **SHAPE, num_hidden_layers=options.layers, bos_token_id=1, eos_token_id=2, pad_token_id=0
    )
    with torch.device(device):
        model = Qwen3ForCausalLM._from_config(config, dtype=torch.bfloat16)  # noqa: SLF001 — no public way names the dtype
    model.save_pretrained(options.folder, max_shard_size="4GB")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(embedded / name, options.folder / name)
    (options.folder / "chat_template.jinja").write_text(CHATML)
    print(
        json.dumps(
            {
                "layers": options.layers,
                "bytes": sum(file.stat().st_size for file in options.folder.iterdir()),
            }
        )
    )


if __name__ == "__main__":
    main()
