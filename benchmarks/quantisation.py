"""What each quantisation costs: KL divergence of the embedded base's GGUF from its checkpoint."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

sys.path.insert(0, str(Path(__file__).parent.parent))

from builder.bases import embedded
from builder.bases.base import EMBEDDED, Base
from builder.gguf.export import export
from builder.gguf.quantisation import QUANTISATIONS
from builder.llama import Model

TEXTS = Path(__file__).parent.parent / "builder" / "evaluation" / "texts.jsonl"
MAX_TOKENS = 128


def main() -> None:
    """Print, for each quantisation, the mean KL divergence and its share of q4_k_m's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure on four texts")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    chosen = Base(EMBEDDED, "embedded", "benchmark", EMBEDDED, "benchmark", four_bit=False)
    folder = embedded.find_checkpoint(chosen)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    lines = map(json.loads, TEXTS.read_text("utf-8").splitlines())
    texts = [line["neutral"] for line in lines if "neutral" in line][: 4 if options.quick else None]
    ids = [tokenizer(text)["input_ids"][:MAX_TOKENS] for text in texts]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        reference = [model(torch.tensor([row])).logits[0].log_softmax(-1).numpy() for row in ids]
    package = {"package (Q4_1)": embedded.find_package()}
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        for quantisation in QUANTISATIONS:
            package[quantisation.name] = Path(place) / f"{quantisation.name}.gguf"
            export(
                folder,
                None,
                package[quantisation.name],
                tokenizer=folder,
                chat_template=(folder / "chat_template.jinja").read_text(),
                metadata={"general.name": EMBEDDED},
                quantisation=quantisation,
            )
        for name, path in package.items():
            served = Model(path)
            divergences = [
                (np.exp(logs) * (logs - served.next_log_probs(row))).sum(axis=1)  # (T,)
                for row, logs in zip(ids, reference, strict=True)
            ]
            figures[name] = float(np.concatenate(divergences).mean())
    if options.json:
        print(json.dumps(figures))
        return
    print(f"mean KL divergence over {sum(map(len, ids))} positions, in nats")
    for name, nats in figures.items():
        print(f"{name:16} {nats:.5f}  {nats / figures['q4_k_m']:.3f} of q4_k_m")


if __name__ == "__main__":
    main()
