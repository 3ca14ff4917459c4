"""Which resolution and views suit good images, by defects that are drawn into some of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from tocsin.detectors.images._synthetic import draw_defect
from tocsin.detectors.images.patch_fusion import PatchFusion
from tocsin.readers.image import as_given, read_image, resize_image
from tocsin.types import ImageArray

_LEARNED, _TRIED = 30, 20  # images at most
_DEFECTS = 2  # an image
_MARGIN = 0.03  # by which another has to be better than the first
_COARSE = 256
_FINE = 640
_LARGE = 384  # pixels of the shorter side, below which more resolution shows nothing more
_RATE = 0.3  # of normal cells, up to which localisation counts


class Candidate(NamedTuple):
    """Parameters of ``patch_fusion``, and how they are called."""

    name: str
    parameters: dict[str, Any]


def choose(X: ImageArray, encoder: str, device: str, seed: int) -> tuple[dict[str, Any], str]:
    """Return parameters of ``patch_fusion`` for good images X (n,), and a sentence that says why.

    A candidate learns from some of the images and is measured on others, with and without defects
    drawn into them: the mean of the ROC AUC over images and of localisation. The first is kept
    unless another is better by 0.03. With fewer than six images there is nothing to try on.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(X))
    tried = order[: min(_TRIED, 2 * len(X) // 5)]
    learned = order[len(tried) :][:_LEARNED]
    candidates = _candidates(X[order[:_TRIED]])
    common: dict[str, Any] = {"encoder": encoder, "device": device, "seed": seed}
    if len(tried) < 2:
        return candidates[0].parameters | common, f"{candidates[0].name}, untried: few images"
    good = [read_image(image) for image in X[tried]]
    drawn = [draw_defect(image, random) for image in good for _ in range(_DEFECTS)]
    quality = [
        _quality(PatchFusion(**each.parameters, **common).fit(X[learned]), good, drawn)
        for each in candidates
    ]
    best = int(np.argmax(quality))
    if quality[best] < quality[0] + _MARGIN:
        best = 0
    measured = "; ".join(f"{c.name} {q:.3f}" for c, q in zip(candidates, quality, strict=True))
    reason = f"{candidates[best].name}: by {len(drawn)} defects drawn into good images ({measured})"
    return candidates[best].parameters | common, reason


def _candidates(X: ImageArray) -> list[Candidate]:
    """Return what to try, first what is to be expected: large images are looked at in detail."""
    parts = {"size": _COARSE, "memory": "coarse", "gaussian": "coarse"}
    details = {"memory": "fine+coarse", "gaussian": None}
    side = float(np.median([min(read_image(image).shape[:2]) for image in X]))
    size = min(_FINE, int(side) // 32 * 32) if side >= _LARGE else _COARSE
    coarse = Candidate(f"memory and Gaussian at {_COARSE} pixels", parts)
    fine = Candidate(f"fine and coarse memory at {size} pixels", {"size": size, **details})
    return [fine, coarse] if side >= _LARGE else [coarse, fine]


def _quality(detector: PatchFusion, good: Sequence[Any], drawn: Sequence[Any]) -> float:
    """Return the mean of the ROC AUC over images and of how well defects are located."""
    usual = detector.score([as_given(image) for image in good])
    odd = detector.score([as_given(image) for image, _ in drawn])
    ranks = rankdata(np.concatenate([usual.values, odd.values]))[len(good) :]
    area = (ranks.mean() - (len(drawn) + 1) / 2) / len(good)
    assert usual.parts is not None  # noqa: S101 - a map detector's
    assert odd.parts is not None  # noqa: S101 - a map detector's
    normal = np.sort(usual.parts, axis=None)
    located = [
        _located(heat, mask, normal) for heat, (_, mask) in zip(odd.parts, drawn, strict=True)
    ]
    return 0.5 * float(area) + 0.5 * float(np.mean(located))


def _located(heat: Any, mask: Any, normal: NDArray[Any]) -> float:
    """Return how far above normal cells those of a defect are: 1 above all, 0 within 70 %."""
    share = resize_image(np.repeat(mask[..., None], 3, axis=2).astype(np.float32), len(heat))[
        ..., 0
    ]
    inside = heat[share >= 0.5 * share.max()]
    rate = 1 - np.searchsorted(normal, inside) / normal.size
    return float(np.clip(1 - rate / _RATE, 0, 1).mean())
