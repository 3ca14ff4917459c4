"""anomalib's PatchCore on given images: run by images.py, with the interpreter that has anomalib.

    PYTHON benchmarks/anomalib_patchcore.py JOB.json

It is anomalib's ``PatchcoreModel`` as it is: pooling, embedding, coreset, search, score and map
are its own. Only the network is a TorchScript file, so that its weights are Tocsin's. Images are
taken one at a time, in training and in scoring. Maps go to a file, not to memory.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from anomalib.models.image.patchcore.torch_model import (  # type: ignore[import-not-found]
    PatchcoreModel,
)
from PIL import Image


class Layers(torch.nn.Module):
    """A traced network that gives its layers by name."""

    def __init__(self, file: str, names: list[str]) -> None:
        super().__init__()
        self.network: Any = torch.jit.load(file).eval()  # type: ignore[no-untyped-call]
        self.names = names

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return maps (n, channels, rows, columns) of images (n, 3, size, size)."""
        return dict(zip(self.names, self.network(images), strict=True))


def main() -> None:
    """Learn, score, and write scores and figures beside the job."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(1)
    torch.manual_seed(job["seed"])
    # The backbone that is named is thrown away at once: the argument cannot be left out.
    model = PatchcoreModel(layers=job["layers"], backbone="resnet18", pre_trained=False)
    model.feature_extractor = Layers(job["network"], job["layers"])
    start = time.process_time()
    with torch.no_grad():
        model.train()
        for path in job["train"]:
            model(read(path, job["size"]))
        model.subsample_embedding(job["coreset"])
        model.eval()
        fitted = time.process_time()
        values = []
        with Path(job["maps"]).open("wb") as file:
            for path in job["test"]:
                found = model(read(path, job["size"]))
                values.append(float(found.pred_score))
                file.write(found.anomaly_map.numpy().astype(np.float32).tobytes())
        end = time.process_time()
    figures = {
        "values": values,
        "fit_seconds": fitted - start,
        "ms_per_image": 1000 * (end - fitted) / len(values),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "bank": len(model.memory_bank),
    }
    Path(job["figures"]).write_text(json.dumps(figures), encoding="utf-8")


def read(path: str, size: int) -> torch.Tensor:
    """Return an image (1, 3, size, size), 0 to 255, brought to the size as Tocsin does."""
    with Image.open(path) as file:
        image = file.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image, dtype=np.float32)).permute(2, 0, 1)[None]


if __name__ == "__main__":
    main()
