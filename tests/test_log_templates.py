"""Masks and templates: what varies, what is alike, what is unknown, state, odd input."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.errors import NotFitted, ParameterError
from tocsin.prepare.log_templates import TemplateMiner, mask


@pytest.mark.parametrize(
    ("message", "masked", "found"),
    [
        ("nothing varies here", "nothing varies here", ()),
        ("", "", ()),
        ("took 3.5ms of -7", "took *ms of *", ("3.5", "-7")),
        ("port 10.0.0.7:22 up", "port * up", ("10.0.0.7:22",)),
        ("peer fe80::1ff:fe23:4567:890a", "peer *", ("fe80::1ff:fe23:4567:890a",)),
        ("peer ::1 or std::list", "peer * or std::list", ("::1",)),
        ("card 00:1a:2b:3c:4d:5e", "card *", ("00:1a:2b:3c:4d:5e",)),
        ("at 0x0b85eee0, dead beef c0ffee1", "at *, dead beef *", ("0x0b85eee0", "c0ffee1")),
        (
            "id 123e4567-e89b-12d3-a456-426614174000.",
            "id *.",
            ("123e4567-e89b-12d3-a456-426614174000",),
        ),
        ("blk_-160899 stored", "blk_* stored", ("-160899",)),
        ("open /var/log/x.log: no", "open <path>: no", ("/var/log/x.log",)),
        ("see https://a.b/c?d=1 now", "see <path> now", ("https://a.b/c?d=1",)),
        (r"C:\Temp\a.txt is and/or was", "<path> is and/or was", (r"C:\Temp\a.txt",)),
        ("from /10.1.1.1:80 on node12", "from /* on node*", ("10.1.1.1:80", "12")),
        ("ログ 12 件\t3", "ログ * 件\t*", ("12", "3")),
    ],
)
def test_masks(message, masked, found):
    assert mask(message) == (masked, found)


@given(st.text(max_size=80))
def test_a_mask_keeps_words_apart_and_can_be_repeated(message):
    masked, found = mask(message)
    assert len(masked.split()) == len(message.split())
    assert mask(message) == (masked, found)
    assert not any(c in "0123456789" for c in masked)


@pytest.mark.parametrize(
    "word",
    ["a" * 8192, "/" * 8192, "a:" * 4096, "/1" * 4096, "f" * 8191 + "1", "/a" * 4096, "1-" * 4096],
)
def test_no_word_takes_long_to_mask(word):
    start = time.process_time()
    mask(word + "1")
    assert time.process_time() - start < 0.5


LINES = [
    *(f"user {name} logged in from 10.0.0.{i}" for i, name in enumerate(["ann", "bob", "cy"])),
    "disk full",
    "cache of 3 MB is warm",
    "cache of 7 MB is warm",
]


def test_templates_in_the_order_of_appearance():
    miner = TemplateMiner()
    assert miner.fit(LINES).tolist() == [0, 0, 0, 1, 2, 2]
    assert miner.templates_ == ["user <*> logged in from *", "disk full", "cache of * MB is warm"]
    ids = miner.match(["user dee logged in from ::ffff:10.1.1.1", "disk on fire", "", "disk  full"])
    assert ids.dtype == np.int64
    assert ids.tolist() == [0, -1, -1, 1]


def test_parameters_come_in_order():
    miner = TemplateMiner()
    miner.fit(LINES)
    assert miner.parameters("user e7 logged in from 10.0.0.9", 0) == ("e7", "10.0.0.9")
    assert miner.parameters("cache of 9 MB is warm", 2) == ("9",)
    assert miner.parameters("unknown 3 of /a/b", -1) == ("3", "/a/b")


def test_words_seen_often_stay_apart():
    lines = [f"service s{i % 50} {'started' if i % 2 else 'stopped'}" for i in range(400)]
    lines += [f"login of {chr(97 + i % 26) * 3}" for i in range(52)]
    miner = TemplateMiner()
    ids = miner.fit(lines)
    assert miner.templates_ == ["service s* stopped", "service s* started", "login of <*>"]
    assert ids[:4].tolist() == [0, 1, 0, 1]
    assert miner.match(["service s3 crashed", "login of zzzz"]).tolist() == [-1, 2]


def test_state_and_purity():
    miner = TemplateMiner()
    ids = miner.fit(LINES)
    state = miner.get_state()
    copy = TemplateMiner().set_state(state)
    assert set(state) == {"templates_"}
    np.testing.assert_array_equal(copy.match(LINES), ids)
    np.testing.assert_array_equal(miner.match(["new"] * 2 + LINES)[2:], ids)
    assert miner.get_state() == state


def test_a_million_identical_messages_are_cheap():
    start = time.process_time()
    ids = TemplateMiner().fit(["job 7 is done"] * 1_000_000)
    assert time.process_time() - start < 8
    assert ids.size == 1_000_000
    assert not ids.any()


def test_unlike_messages_do_not_make_the_search_long():
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(row) for row in letters[rng.integers(0, 26, (5000 * 5, 6))]]
    lines = [" ".join(words[i : i + 5]) for i in range(0, len(words), 5)]
    start = time.process_time()
    miner = TemplateMiner()
    ids = miner.fit(lines)
    assert time.process_time() - start < 8
    assert len(miner.templates_) < 1000
    assert ids.min() == 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(alphabet="ab1/<*> \n", max_size=12), min_size=1, max_size=40))
def test_what_was_learned_is_known(lines):
    miner = TemplateMiner()
    ids = miner.fit(lines)
    np.testing.assert_array_equal(miner.match(lines), ids)
    assert sorted(set(ids.tolist())) == list(range(len(miner.templates_)))
    for line, i in zip(lines, ids, strict=True):
        assert len(miner.parameters(line, i)) >= miner.templates_[i].split().count("<*>")


def test_refusals():
    with pytest.raises(NotFitted):
        TemplateMiner().match(["a"])
    for wrong in ({"similarity": 1}, {"children": 0}, {"leaf": 0}):
        with pytest.raises(ParameterError):
            TemplateMiner(**wrong)
