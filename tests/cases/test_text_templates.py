"""Texts that come from templates: near duplicates are what is normal."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.pipeline import TextPipeline

THINGS = ("printer", "monitor", "keyboard", "laptop", "scanner", "router", "projector")
NAMES = ("Anna", "Ben", "Carla", "David", "Eva", "Frank", "Greta")
TEMPLATES = {
    "tickets": (
        "The {thing} in room {number} does not turn on.",
        "Please reset the password of {name}.",
        "The screen of workstation {number} stays black.",
        "{name} needs access to folder {number}.",
        "Paper is stuck in the {thing} on floor {digit}.",
        "Please install the update on laptop {number}.",
        "The backup of server {number} failed at {digit} o'clock.",
        "I cannot log in to the mail since {digit} o'clock.",
    ),
    "alerts": (
        "[{digit}:00] CPU of host-{number} above 9{digit} percent",
        "[{digit}:00] disk /dev/sd{digit} on host-{number} is full",
        "[{digit}:00] service {thing} restarted on host-{number}",
        "[{digit}:00] certificate of host-{number} expires in {digit} days",
    ),
    "notifications": (
        "{name} liked your photo",
        "{name} and {digit} others commented on your post",
        "Your parcel {number} will arrive between {digit} and 12 o'clock",
        "Payment of {number} EUR to {name} received",
        "Meeting with {name} moved to {digit}:30",
        "New login from host {number}",
    ),
}
POEMS = (
    "Tiger, tiger, burning bright, in the forests of the night.",
    "Rough winds do shake the darling buds of May, and summer's lease hath all too short a date.",
)


def written(kind: str, number: int, seed: int, uneven: bool, notes: int) -> tuple[list[str], int]:
    """Return texts of a kind with a poem among them, its place, and so many long notes besides."""
    random = np.random.default_rng(seed)
    templates = TEMPLATES[kind]
    share = random.gamma(1.5, size=len(templates)) if uneven else np.ones(len(templates))

    def one() -> str:
        chosen = templates[random.choice(len(templates), p=share / share.sum())]
        number, digit = random.integers(1, 400), random.integers(1, 9)
        thing, name = random.choice(THINGS), random.choice(NAMES)
        return chosen.format(thing=thing, name=name, number=number, digit=digit)

    texts = [one() for _ in range(number)]
    for note in range(notes):
        sentences = " ".join(one() for _ in range(random.integers(6, 12)))
        texts[3 + note * number // max(notes, 1)] = f"{sentences} Kind regards, {NAMES[note % 7]}"
    odd = number // 2 + 1
    texts[odd] = POEMS[seed % 2]
    return texts, odd


@pytest.mark.parametrize(
    ("kind", "number", "uneven", "notes"),
    [("tickets", 140, False, 0), ("tickets", 300, True, 0), ("tickets", 140, False, 8),
     ("alerts", 100, False, 0), ("alerts", 200, True, 0), ("notifications", 120, False, 0),
     ("notifications", 300, False, 8)],
)  # fmt: skip
@pytest.mark.parametrize("seed", [0, 1])
def test_the_poem_among_templates_is_first(
    kind: str, number: int, uneven: bool, notes: int, seed: int
) -> None:
    """The one text of no template has the highest score, whatever the sizes of the groups."""
    texts, odd = written(kind, number, seed, uneven, notes)
    detection = TextPipeline().fit_detect(texts, explain=False)
    assert detection.scores.values.argmax() == odd
    assert detection.decision.is_anomaly[odd]
    if not uneven:  # one small group beside one large one may as well be a clump of anomalies
        assert not any("nearly the same" in note for note in detection.notes)


def test_few_anomalies_that_are_alike_do_not_hide() -> None:
    """Twelve copies of one advertisement among varied texts are learned from as one text."""
    random = np.random.default_rng(0)
    words = ["river", "stone", "cloud", "bread", "green", "walk", "light", "song", "glass"]
    texts = [" ".join(random.choice(words, 9)) for _ in range(200)]
    for i in range(12):
        texts[10 * i] = f"WIN a FREE prize now!!! Call 0800-{i}"
    detection = TextPipeline().fit_detect(texts, explain=False)
    found = np.argsort(-detection.scores.values)[:12]
    assert sorted(found.tolist()) == [10 * i for i in range(12)]
    assert any("12 of 200 training texts are nearly the same" in note for note in detection.notes)
