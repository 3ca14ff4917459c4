"""The data for detectors of text, and the checks that only they pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from tocsin.base import Detector
from tocsin.checks import common, hostile, items
from tocsin.checks.asserting import require, require_same, scored
from tocsin.checks.subject import Items, ItemSubject, Subject
from tocsin.types import TextArray

_KINDS = (
    "Your {thing} was sent on {day}, please expect it in {number} days.",
    "Hi {name}, are we still meeting for {meal} on {day}?",
    "Thank you {name}, the {thing} arrived on {day} and works well.",
    "Reminder: {meal} with {name} is in {number} hours.",
)
_WORDS = {
    "thing": ("book", "lamp", "chair", "camera", "jacket", "kettle", "radio", "parcel"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"),
    "meal": ("breakfast", "lunch", "dinner", "coffee", "tea"),
    "name": ("Anna", "Ben", "Carla", "David", "Emma", "Felix", "Greta", "Hugo"),
    "number": ("2", "3", "4", "5", "6", "7"),
}
_ODD_KINDS = (
    "WIN {code} CASH NOW!!! Claim at http://{code}.example/{code} $$$",
    "zq{code} xk vrrt {code} pfff qqx wzzk {code}",
    "segfault at 0x{code} ip 0x{code} error {code} in libgfx.so [{code}]",
)
UNICODE = (
    "",
    " \t\r\n",
    "\0",
    "\ud800",  # half of a pair, as in badly decoded text
    "é e\u0301 ß ﬁ İ",
    "今日は良い天気ですね",
    "مرحبا بالعالم",
    "👩‍👩‍👧‍👦 🏳️‍🌈 \U0010ffff",
    "\u202eright to left\u202c \ufeff\u200b",
    "a" + "\u0301" * 500,
)


class TextSubject(ItemSubject):
    """Everyday messages of four kinds; advertisements, garbled letters and error messages."""

    modality = "text"
    shared = (common, hostile, items)
    least_area = 0.75
    shares = (0.0, 0.35)

    def __init__(self, detector: Detector) -> None:
        super().__init__(detector)
        rng = np.random.default_rng(7)
        usual = [_usual(rng) for _ in range(500)]
        self.normal, self.unseen = _texts(usual[:250]), _texts(usual[250:])
        self.anomalies = _texts([_odd(rng, i) for i in range(60)])

    @property
    def bad(self) -> dict[str, Any]:
        """Inputs that neither ``fit`` nor ``score`` takes, by what is wrong with them."""
        return {
            "nothing at all": None,
            "an empty list": [],
            "a single text": "see you on Monday",
            "numbers": np.ones(40),
            "a matrix": np.ones((40, 3)),
            "bytes": [b"see you"] * 40,
            "a missing text": [*self.normal[:39], None],
        }

    def unlike(self, X: Items) -> Items:
        """Return an odd text."""
        return self.anomalies[:1]


def check_list_and_array_are_the_same(subject: Subject) -> None:
    """Check that a list of texts, and an array of NumPy's own text type, are texts."""
    X = subject.unseen[:20]
    wanted = subject.fitted.score(X).values
    for given in (X.tolist(), X.astype(str)):
        require_same(subject.fitted.score(given).values, wanted, f"scores of a {type(given)}")


def check_empty_texts(subject: Subject) -> None:
    """Check that empty texts, also nothing else, give finite scores."""
    scored(subject.fitted, _texts(["", " "]))
    some = subject.normal[:40].copy()
    some[::5] = ""
    subject.fits(some)
    subject.fits(_texts([""] * 20))


def check_any_unicode(subject: Subject) -> None:
    """Check that texts of any characters are learned from and scored, also after loading."""
    strange = _texts(list(UNICODE))
    scored(subject.fitted, strange)
    detector = subject.fits(np.concatenate([strange, subject.normal[:30]]))
    wanted = detector.score(strange).values
    given = subject.restored(detector).score(strange).values
    require_same(given, wanted, "scores of strange texts after loading", rtol=0)


def check_long_text(subject: Subject) -> None:
    """Check that texts of 100,000 characters are learned from and scored."""
    long = _texts(["long " * 20_000, "x" * 100_000, " ".join(subject.unseen) * 8])
    scored(subject.fitted, long)
    subject.fits(np.concatenate([long[:1], subject.normal[:30]]))


def check_kept_texts(subject: TextSubject) -> None:
    """Check that a text that was learned from often scores below most odd ones."""
    if subject.detector.needs_labels or subject.detector.card.learning == ("zero-shot",):
        return
    X = np.concatenate([subject.normal, np.repeat(subject.unseen[:1], 20)])
    values = subject.fit(X).score(np.concatenate([subject.unseen[:1], subject.anomalies])).values
    require(values[0] < np.median(values[1:]), "a text learned from often scores like odd ones")


def _usual(rng: np.random.Generator) -> str:
    words = {name: str(rng.choice(choices)) for name, choices in _WORDS.items()}
    return str(rng.choice(_KINDS)).format(**words)


def _odd(rng: np.random.Generator, i: int) -> str:
    code = "".join(rng.choice(list("0123456789abcdef"), 8))
    return _ODD_KINDS[i % len(_ODD_KINDS)].format(code=code)


def _texts(texts: list[str]) -> TextArray:
    return np.array(texts, dtype=object)
