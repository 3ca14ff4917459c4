"""Groups of texts that are nearly the same."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tocsin.features.sparse_neighbours import SparseSearch
from tocsin.features.tfidf import Tfidf
from tocsin.types import IntArray, TextArray

_NEIGHBOURS = 10
_NEAR = 0.75  # of √2, the distance of texts that share nothing


def near_duplicates(texts: TextArray | list[str]) -> IntArray:
    """Return the group (n,) of each text: chains of near ones share a group.

    Near are texts whose character n-grams have a TF-IDF distance of 0.75 or less, a cosine of
    0.72 or more.

    >>> near_duplicates(["claim your prize now 1", "claim your prize now 2", "see you"]).tolist()
    [0, 0, 1]
    """
    rows = Tfidf("char", 2, 4).fit(texts).transform(texts)
    n = len(texts)
    distances, others = SparseSearch(rows).nearest(rows, _NEIGHBOURS, np.arange(n))
    text, neighbour = np.nonzero(distances <= _NEAR)
    near = (np.ones(len(text)), (text, others[text, neighbour]))
    _, group = connected_components(coo_array(near, shape=(n, n)), directed=False)
    return group.astype(np.int64)
