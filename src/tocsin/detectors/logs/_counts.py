"""How often each template occurs in each log session."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tocsin.features.hashing import mix_bits
from tocsin.types import BoolArray, IntArray, SessionArray


class Counts(NamedTuple):
    """The templates of n sessions, one entry for each that occurs in a session.

    ``session`` and ``template`` (e,) int64, ordered by session, then template; ``lines`` (e,)
    how many; ``n`` sessions.
    """

    session: IntArray
    template: IntArray
    lines: IntArray
    n: int

    @classmethod
    def of(cls, X: SessionArray) -> Counts:
        """Return the counts of sessions (n,)."""
        length = np.fromiter(map(len, X), dtype=np.int64, count=len(X))
        lines = np.concatenate([session.templates for session in X]).astype(np.int64)
        templates = np.unique(lines)
        number = np.searchsorted(templates, lines)
        pairs = np.repeat(np.arange(len(X)), length) * len(templates) + number
        pairs, count = np.unique(pairs, return_counts=True)
        session, number = np.divmod(pairs, len(templates))
        return cls(session, templates[number], count, len(X))

    def number(self, which: BoolArray) -> IntArray:
        """Return how many (n,) of each session's entries are marked in ``which`` (e,)."""
        return np.bincount(self.session[which], minlength=self.n)

    @property
    def starts(self) -> IntArray:
        """The first entry (n,) of each session; every session has one."""
        return np.searchsorted(self.session, np.arange(self.n))

    def same(self) -> tuple[IntArray, IntArray]:
        """Return one session of each kind, and the kind (n,) of every session, by its counts."""
        pairs = self.template.view(np.uint64) * np.uint64(2**32 + 15) + self.lines.view(np.uint64)
        keys = mix_bits(pairs)
        # A sum of well-mixed keys is a key of the set: 64 bits, so that clashes do not happen.
        whole = np.add.reduceat(keys, self.starts)
        _, first, kind = np.unique(whole, return_index=True, return_inverse=True)
        return first, kind


def find(known: IntArray, wanted: IntArray) -> IntArray:
    """Return where each number stands among the known ones, ascending; -1 where it does not."""
    if not len(known):
        return np.full(len(wanted), -1)
    at = np.searchsorted(known, wanted).clip(max=len(known) - 1)
    return np.where(known[at] == wanted, at, -1)
