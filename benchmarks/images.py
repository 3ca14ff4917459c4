"""Tocsin's image detectors beside anomalib's PatchCore, on the same weights and images.

    python benchmarks/images.py --data DIR --anomalib-python PATH/TO/python

DIR holds sets as ``tocsin bench images`` takes them. anomalib needs an environment of its own,
since it brings libraries that Tocsin does not; PATH is the interpreter of that. Both see images of
the same size through EfficientNet-Lite0, its stages 3 to 5, which is what ``patch_memory`` takes;
anomalib keeps a coreset of 10 % as its authors do, Tocsin what its detectors do by themselves.
Each runs in a process of its own, on one thread, one image at a time; the time is CPU time, since
other programs on the machine only slow wall time down, with reading and decoding, and memory the
peak of the process, libraries included.

``--train`` bounds the images learned from, the same ones for both: the time of a coreset grows
with the square of their number.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tocsin.evaluate.metrics import ranking
from tocsin.evaluate.metrics.pixels import pixel_metrics
from tocsin.evaluate.sets.images import ImageSet, read_image_sets
from tocsin.types import MapArray

LAYERS = ["stage3", "stage4", "stage5"]
COLUMNS = (
    "image ROC AUC",
    "image average precision",
    "pixel ROC AUC",
    "PRO",
    "CPU ms/image",
    "CPU s to fit",
    "peak MB",
    "bank",
)

Figures = dict[str, Any]


def main() -> None:
    """Print a line a set and detector."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--anomalib-python", type=Path, help="without it there is no comparison")
    parser.add_argument("--only", help="sets, separated by commas")
    parser.add_argument("--detectors", default="patch_memory,auto")
    parser.add_argument("--train", type=int, default=40)
    parser.add_argument("--test", type=int, help="so many test images, spread evenly; else all")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--coreset", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    only = options.only.split(",") if options.only else None
    print(f"{'':40}" + "".join(f"{column:>13}" for column in COLUMNS))
    for images in read_image_sets(options.data, only).values():
        train = np.random.default_rng(options.seed).permutation(images.train)[: options.train]
        last = len(images.test) - 1
        test = np.unique(np.linspace(0, last, options.test or last + 1).round().astype(int))
        job = {
            "train": [str(path) for path in train],
            "test": [str(images.test[i]) for i in test],
            "size": options.size,
            "seed": options.seed,
            "coreset": options.coreset,
        }
        for name in options.detectors.split(","):
            show(f"{images.name}, tocsin {name}", images, test, *ours(name, job))
        if options.anomalib_python:
            show(f"{images.name}, anomalib", images, test, *peer(options.anomalib_python, job))


def show(
    title: str, images: ImageSet, test: np.ndarray, figures: Figures, maps: MapArray | None
) -> None:
    """Print the figures of one detector on the test images of these positions."""
    ranks = ranking(images.labels[test], figures["values"])
    cells = [ranks.roc_auc, ranks.average_precision]
    if maps is None:
        cells += [None, None]
    else:
        pixels = pixel_metrics(maps, (images.mask(int(i)) for i in test))
        cells += [pixels.roc_auc, pixels.pro]
    cells += [figures.get(key) for key in ("ms_per_image", "fit_seconds", "peak_mb", "bank")]
    formats = ["13.3f"] * 4 + ["13.1f"] * 2 + ["13,.0f"] * 2
    shown = [f"{'–':>13}" if v is None else f"{v:{f}}" for v, f in zip(cells, formats, strict=True)]
    print(f"{title:40}" + "".join(shown), flush=True)


def ours(name: str, job: Figures) -> tuple[Figures, MapArray | None]:
    """Return what a detector of Tocsin does, in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        result: tuple[Figures, MapArray | None] = pool.apply(measured, (name, job))
    return result


def measured(name: str, job: Figures) -> tuple[Figures, MapArray | None]:
    """Return figures and maps of a detector of Tocsin."""
    from tocsin.evaluate.suites.images import ImageSuite
    from tocsin.evaluate.threads import limited_threads

    with limited_threads(1):
        detector = ImageSuite(Path()).create(name, size=job["size"], seed=job["seed"])
        start = time.process_time()
        detector.fit(job["train"])
        fitted = time.process_time()
        scores = detector.score(job["test"])
        end = time.process_time()
    figures = {
        "values": scores.values.tolist(),
        "fit_seconds": fitted - start,
        "ms_per_image": 1000 * (end - fitted) / len(scores),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "bank": getattr(detector, "bank", None),
    }
    return figures, None if scores.parts is None else scores.parts.astype(np.float32)


def peer(python: Path, job: Figures) -> tuple[Figures, MapArray]:
    """Return what anomalib does, in the interpreter that has it."""
    with tempfile.TemporaryDirectory() as folder:
        names = {key: str(Path(folder, key)) for key in ("network", "maps", "figures")}
        write_network(names["network"], job["size"])
        file = Path(folder, "job.json")
        file.write_text(json.dumps({**job, **names, "layers": LAYERS}), encoding="utf-8")
        script = Path(__file__).with_name("anomalib_patchcore.py")
        command = [str(python), str(script), str(file)]
        # Else glibc keeps a copy of the features for each step of the coreset: 30 MB, thousands of
        # times, where they are just smaller than what it maps by itself.
        environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            raise SystemExit(f"anomalib ended with {done.returncode}:\n{done.stderr[-2000:]}")
        figures: Figures = json.loads(Path(names["figures"]).read_text(encoding="utf-8"))
        maps = np.fromfile(names["maps"], dtype=np.float32)
    return figures, maps.reshape(len(job["test"]), job["size"], job["size"])


def write_network(file: str, size: int) -> None:
    """Write the stages of the network for the peer, its normalisations folded into the weights."""
    import torch

    from tocsin.encoders.images import open_encoder

    class Stages(torch.nn.Module):
        """The stages of images (n, 3, size, size) as a tuple."""

        def __init__(self) -> None:
            super().__init__()
            self.network = open_encoder("efficientnet_lite0").network()

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            """Return maps (n, channels, rows, columns), one a layer."""
            maps = self.network(images.permute(0, 2, 3, 1))
            return tuple(maps[layer] for layer in LAYERS)

    with torch.no_grad():
        zeros = torch.zeros(1, 3, size, size)
        traced = torch.jit.trace(Stages().eval(), zeros)  # type: ignore[no-untyped-call]
    torch.jit.save(torch.jit.freeze(traced), file)


if __name__ == "__main__":
    main()
