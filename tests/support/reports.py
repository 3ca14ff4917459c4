"""Reports read as pages, and hostile texts for them."""

import base64
from html.parser import HTMLParser

from tocsin.base.abilities import Embeds
from tocsin.types import Card

EVIL = "<script>alert(1)</script>"
TURNED = "\u202egpj.exe"
CARD = Card(
    name="made",
    modality="tables",
    family="density",
    learning=("one-class",),
    summary="made for this test",
    paper="None",
    cost="none",
)


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.open, self.parts = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_data(self, data):
        self.parts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.parts).split())

    @property
    def images(self):
        head = "data:image/svg+xml;base64,"
        sources = [value for tag, name, value in self.attributes if (tag, name) == ("img", "src")]
        assert all(source.startswith(head) for source in sources)
        return [base64.b64decode(source[len(head) :]).decode() for source in sources]


class Embedding(Embeds):
    """A detector whose latent space is this one, whatever the data."""

    def __init__(self, points):
        self.points = points

    def embed(self, X):
        return self.points


class Scored:
    """What a report asks of a pipeline, without one."""

    def __init__(self, card=CARD, settings=None, embedding=None):
        self.card, self.settings = card, settings or {}
        self.detector_ = None if embedding is None else Embedding(embedding)

    def embed(self, data):
        return self.detector_.embed(data)


def marks(html):
    """Return the texts that a page marks."""
    return [part.split("</mark>")[0].split(">", 1)[1] for part in html.split("<mark")[1:]]
