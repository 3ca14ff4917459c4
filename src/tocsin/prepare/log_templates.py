"""Templates of log messages: what varies is masked, what is left falls into kinds.

Masked are paths and addresses with a scheme (``<path>``), and (``*``) UUIDs, hexadecimal tokens
of four or more characters with a digit, IP and hardware addresses, and numbers, also inside
words. Templates are mined with a tree of fixed depth: messages of as many tokens and with the
same first token are compared, and one that shares more than half of its tokens with a template
joins it; tokens that differ become ``<*>``. Words that are frequent where others vary, in a tenth
of the lines of a template and at least ten, do not count as varying: "started" and "stopped" are
kept apart, the names of services are not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate, chain
from operator import eq
from sys import intern
from typing import Any, Self

import numpy as np

from tocsin.base import Stateful
from tocsin.errors import NotFitted, ParameterError
from tocsin.types import IntArray

__all__ = ["TemplateMiner", "mask"]

ANY = "<*>"
"""What stands in a template for a token that varies."""

_VARIABLE = re.compile(
    r"""(
    (?<![a-zA-Z0-9+.]) [a-zA-Z][a-zA-Z0-9+.]*://[^\s'"<>]+  # an address with a scheme
    | (?<![\w/*>]) [a-zA-Z]:\\[^\s'"<>:]+              # C:\folder\file
    | (?<![\w/*>.]) \.{0,2} (?:/[\w.@%+~$-]*[a-zA-Z_][\w.@%+~$-]*)+ /?  # /folder/file
    | \b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b
    | \b[0-9a-fA-F]{1,4}(?:::?[0-9a-fA-F]{1,4}){3,7}\b # IPv6 and hardware addresses
    | (?<![\w:.])::(?:[fF]{4}:)?[0-9][0-9a-fA-F.:]*\b
    | \b0[xX][0-9a-fA-F]+\b
    | \b(?=[a-fA-F]*[0-9])[0-9a-fA-F]{4,}\b(?![.:]\d)
    | (?:(?<![a-zA-Z0-9)\]])[-+])?[0-9]+(?:[.,:][0-9]+)*
    )""",
    re.VERBOSE,
)
_MAY_VARY = re.compile(r"[0-9/\\]").search
_MASKED = re.compile(r"\*|<path>").search
_FREQUENT, _SHARE = 10, 0.1
_DIGITS = str.maketrans("123456789", "000000000")
_KEPT, _SHORT = 50_000, 300

_Shape = tuple[str, tuple[slice, ...]]
"""A masked text, and the places of what the mask left out."""


class _Shapes(dict[str, _Shape]):
    """Masks of texts by what does not change if digits do: at most ``_KEPT``, all short.

    What is masked depends on where digits are, not on which, but for the 0 of 0x: of texts with
    one every digit counts.
    """

    def of(self, text: str) -> _Shape:
        """Return the mask of a text."""
        shape = text.translate(_DIGITS)
        if "0x" in shape or "0X" in shape:
            shape = text
        found = self.get(shape)
        if found is None:
            found = self._of_words(text) if " " in text else _of_word(text)
            if len(text) <= _SHORT:
                if len(self) >= _KEPT:
                    self.clear()
                self[shape] = found
        return found

    def _of_words(self, text: str) -> _Shape:
        # No mask reaches over a blank, and logs repeat most words.
        masked, places, start = [], [], 0
        for word in text.split(" "):
            of_word, found = self.get(word) or self.of(word)
            masked.append(of_word)
            if found:
                places += [slice(start + each.start, start + each.stop) for each in found]
            start += len(word) + 1
        return intern(" ".join(masked)), tuple(places)


def _of_word(word: str) -> _Shape:
    if _MAY_VARY(word) is None:
        return word, ()
    parts = _VARIABLE.split(word)
    ends = list(accumulate(map(len, parts)))
    places = tuple(map(slice, ends[:-1:2], ends[1::2]))
    parts[1::2] = ["<path>" if "/" in part or "\\" in part else "*" for part in parts[1::2]]
    return intern("".join(parts)), places


_SHAPES = _Shapes()


def mask(message: str) -> tuple[str, tuple[str, ...]]:
    r"""Return a message with what varies masked, and what the mask left out, in order.

    >>> mask("open /var/log/x.log failed 3 times for 10.0.0.7:22")
    ('open <path> failed * times for *', ('/var/log/x.log', '3', '10.0.0.7:22'))
    """
    text, places = _SHAPES.of(message)
    return text, tuple([message[place] for place in places])


class TemplateMiner(Stateful):
    """Finds the kinds of log messages, and matches any message to its kind.

    ``similarity``: a message joins a template with which it shares more than this part of its
    tokens. ``children``: the first tokens kept among messages of one length; further
    ones count as varying. ``leaf``: the most templates compared with a message; once there are
    more, the last takes all messages unlike the others.

    After ``fit``: ``templates_``, tokens joined by blanks, in the order of first appearance.

    He, Zhu, Zheng and Lyu, Drain: an online log parsing approach with fixed depth tree, ICWS 2017.

    >>> miner = TemplateMiner()
    >>> miner.fit(["user ann logged in at 3", "user bob logged in at 4", "disk full"])
    array([0, 0, 1])
    >>> miner.templates_
    ['user <*> logged in at *', 'disk full']
    >>> miner.match(["disk full", "disk on fire"])
    array([ 1, -1])
    >>> miner.parameters("user eve logged in at 5", 0)
    ('eve', '5')
    """

    templates_: list[str]

    def __init__(self, *, similarity: float = 0.5, children: int = 100, leaf: int = 200) -> None:
        if not 0 <= similarity < 1 or children < 1 or leaf < 1:
            raise ParameterError(
                "similarity is from 0 to below 1, children and leaf are at least 1; got "
                f"{similarity}, {children} and {leaf}."
            )
        self.similarity = similarity
        self.children = children
        self.leaf = leaf

    def fit(
        self, messages: Iterable[str], counts: Iterable[int] | None = None, *, masked: bool = False
    ) -> IntArray:
        """Learn templates from messages, and return which one each message has, (n,) int64.

        ``counts``: how often each message occurs, once by default. ``masked``: the messages are
        masked already.
        """
        given = list(messages)
        pairs = Counter(given).items() if counts is None else zip(given, counts, strict=True)
        texts: Counter[str] = Counter()
        for message, count in pairs:
            texts[message if masked else mask(message)[0]] += count
        tree = _Tree(self.similarity, self.children, self.leaf)
        for text, count in texts.items():
            tree.add(_tokens(text), count)
        self.templates_ = [" ".join(tokens) for tokens in tree.templates()]
        self._index = _Index(self.templates_)
        # A message that fits several templates may be of another one than it was learned for.
        used = list(dict.fromkeys(self._index.find(_tokens(text)) for text in texts))
        self.templates_ = [self.templates_[i] for i in used]
        self._index = _Index(self.templates_)
        return self.match(given, masked=masked)

    def match(self, messages: Iterable[str], *, masked: bool = False) -> IntArray:
        """Return the template (n,) int64 of each message, -1 where it fits none; changes nothing.

        Of several that fit, the one with the fewest varying tokens is taken. Raises NotFitted.
        """
        if not hasattr(self, "templates_"):
            raise NotFitted("No templates have been learned yet: call fit before match.")
        known: dict[str, int] = {}
        ids = []
        for message in messages:
            found = known.get(message)
            if found is None:
                text = message if masked else mask(message)[0]
                found = known[message] = self._index.find(_tokens(text))
            ids.append(found)
        return np.array(ids, dtype=np.int64)

    def parameters(self, message: str, id: int) -> tuple[str, ...]:
        """Return what the mask and the template leave out of a message, in order.

        ``id``: the message's template; with -1, what the mask leaves out.
        """
        places = self._index.places[id] if id >= 0 else {}
        if not any(places.values()):
            return mask(message)[1]
        words = _tokens(message)
        found = ((words[i],) if whole else mask(words[i])[1] for i, whole in places.items())
        return tuple(chain.from_iterable(found))

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        self._index = _Index(self.templates_)
        return self


@dataclass(slots=True)
class _Group:
    """A template while it is learned, with the distinct messages that joined it."""

    template: list[str]
    members: list[tuple[list[str], int]] = field(default_factory=list)

    def add(self, tokens: list[str], count: int) -> None:
        self.members.append((tokens, count))
        for place, token in enumerate(tokens):
            if self.template[place] != token:
                self.template[place] = ANY

    def templates(self) -> Iterator[tuple[str, ...]]:
        """Yield the template, and those with the words that are frequent where it varies."""
        yield tuple(self.template)
        varying = [place for place, token in enumerate(self.template) if token == ANY]
        least = max(_FREQUENT, _SHARE * sum(count for _, count in self.members))
        words: Counter[tuple[int, str]] = Counter()
        for tokens, count in self.members:
            for place in varying:
                words[place, tokens[place]] += count
        narrowed: Counter[tuple[str, ...]] = Counter()
        for tokens, count in self.members:
            for place in varying:
                if words[place, tokens[place]] < least:
                    tokens[place] = ANY
            narrowed[tuple(tokens)] += count
        yield from (tokens for tokens, count in narrowed.items() if count >= _FREQUENT)


class _Tree:
    """Groups of messages, by number of tokens and first token."""

    def __init__(self, similarity: float, children: int, leaf: int) -> None:
        self.similarity, self.children, self.leaf = similarity, children, leaf
        self.leaves: dict[tuple[int, str], list[_Group]] = {}
        self.firsts: Counter[int] = Counter()

    def add(self, tokens: list[str], count: int) -> None:
        leaf = self._leaf(len(tokens), tokens[0])
        shared = [sum(map(eq, group.template, tokens)) for group in leaf]
        best = max(range(len(leaf)), key=shared.__getitem__, default=-1)
        if best < 0 or shared[best] <= self.similarity * len(tokens):
            best = -1
            if len(leaf) < self.leaf:
                leaf.append(_Group(tokens.copy()))
        leaf[best].add(tokens, count)

    def templates(self) -> list[tuple[str, ...]]:
        groups = chain.from_iterable(self.leaves.values())
        return list(dict.fromkeys(chain.from_iterable(group.templates() for group in groups)))

    def _leaf(self, length: int, first: str) -> list[_Group]:
        if "*" in first or first == "<path>":
            first = ANY
        elif (length, first) not in self.leaves:
            if self.firsts[length] >= self.children:
                first = ANY
            else:
                self.firsts[length] += 1
        return self.leaves.setdefault((length, first), [])


class _Index:
    """Templates, to be found by what they match."""

    def __init__(self, templates: list[str]) -> None:
        self.exact: dict[tuple[str, ...], int] = {}
        self.places: list[dict[int, bool]] = []
        """For each template its masked tokens, and whether they were masked as a whole."""
        self.varying: dict[tuple[int, str], list[tuple[int, int, list[str]]]] = {}
        for i, template in enumerate(templates):
            tokens = _tokens(template)
            marked = {i: token == ANY for i, token in enumerate(tokens) if _MASKED(token)}
            self.places.append(marked)
            if varying := sum(marked.values()):
                entry = (varying, i, tokens)
                self.varying.setdefault((len(tokens), tokens[0]), []).append(entry)
            else:
                self.exact[tuple(tokens)] = i

    def find(self, tokens: list[str]) -> int:
        """Return the number of the closest template that fits, -1 without one."""
        exact = self.exact.get(tuple(tokens))
        if exact is not None:
            return exact
        near = self.varying.get((len(tokens), tokens[0]), [])
        if tokens[0] != ANY:
            near = near + self.varying.get((len(tokens), ANY), [])
        fitting = (
            (varying, i)
            for varying, i, template in near
            if all(a in (ANY, b) for a, b in zip(template, tokens, strict=True))
        )
        return min(fitting, default=(0, -1))[1]


def _tokens(text: str) -> list[str]:
    return text.split() or [""]
