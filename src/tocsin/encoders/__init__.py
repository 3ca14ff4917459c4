"""Pretrained networks that turn raw items into numbers: one file per encoder, found by its name.

``encoders/<modality>/<name>.py`` holds the class ``<Name>``; other packages register theirs by an
entry point in the group ``tocsin.encoders.<modality>``. A name that is not registered is that of a
network on the Hugging Face hub, or its folder; ``hub`` fetches it for a detector that learns.
``language`` holds language models, which say how surprising each token of a text is. An encoder is
imported when it is used.
"""

from __future__ import annotations

from typing import Any

from tocsin import registry


def pinned_encoder(modality: str, name: str) -> str:
    """Return the name of an encoder to learn with, fetched and with its revision if on the hub.

    Raises as ``hub.pinned`` does, and MissingExtra without transformers.

    >>> pinned_encoder("text", "minilm")
    'minilm'
    """
    if name in registry.part_names(f"encoders.{modality}"):
        return name
    from tocsin.encoders import hub, pretrained

    pretrained.require("transformers")  # before anything is fetched for it
    return hub.pinned(name)


def find_encoder(modality: str, name: str) -> type[Any] | None:
    """Return the class that is registered under this name, None for any other name.

    >>> find_encoder("text", "minilm").__name__, find_encoder("text", "google-bert/bert-base")
    ('Minilm', None)
    """
    kind = f"encoders.{modality}"
    return registry.find_part(kind, name) if name in registry.part_names(kind) else None
