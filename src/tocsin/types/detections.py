"""What detection gives: frozen, typed results. NumPy is all they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tocsin.errors import InputError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
TextArray = NDArray[np.object_]
"""Texts (n,), each a str."""
SessionArray = NDArray[np.object_]
"""Log sessions (n,), each a LogSession."""
ImageArray = NDArray[np.object_]
"""Images (n,), each the path of a file or an array of pixels; see ``readers.image.read_image``."""
MapArray = NDArray[np.float32]
"""Heat maps (n, rows, columns); each covers its whole image, whatever the image's size."""

Modality = Literal["tables", "series", "images", "text", "logs", "audio"]
Family = Literal[
    "reconstruction",
    "density",
    "neighbours",
    "forecast",
    "adversarial",
    "memory bank",
    "likelihood",
    "one-class",
    "isolation",
    "projection",
    "supervised",
    "composite",
]
Learning = Literal["one-class", "unlabelled", "supervised", "zero-shot", "streaming"]


@dataclass(frozen=True, slots=True)
class Card:
    """What a detector is: shown by ``tocsin detectors`` and written into every saved model."""

    name: str
    modality: Modality
    family: Family
    learning: tuple[Learning, ...]
    summary: str
    paper: str
    cost: str


@dataclass(frozen=True, slots=True)
class Scores:
    """Anomaly scores of n items; higher is more anomalous, always.

    ``values``: (n,) float64, finite. ``parts``: how much each part of an item adds, for
    tables (n, d), for images a heat map each, (n, rows, columns). ``expected``: what the model
    expected in place of the input, same shape and units as the input, where the detector has
    such a thing.

    Raises InputError when a value is not finite or a shape does not fit.

    >>> import numpy as np
    >>> scores = Scores(np.array([0.1, 2.5]))
    >>> len(scores), float(np.asarray(scores).max())
    (2, 2.5)
    """

    values: FloatArray
    parts: FloatArray | MapArray | None = None
    expected: FloatArray | None = None

    def __post_init__(self) -> None:
        values = np.ascontiguousarray(self.values, dtype=np.float64)
        if values.ndim != 1:
            raise InputError(f"Scores are one number an item; got shape {values.shape}.")
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise InputError(f"{bad} of {values.size} scores are not finite: a detector's fault.")
        object.__setattr__(self, "values", values)
        for name in ("parts", "expected"):
            array = getattr(self, name)
            if array is not None and len(array) != values.size:
                raise InputError(f"Scores.{name} has {len(array)} rows for {values.size} scores.")

    def __len__(self) -> int:
        return int(self.values.size)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)


@dataclass(frozen=True, slots=True)
class LogSession:
    """Log lines that belong together: of one session, of one window of time, or a single line.

    ``templates``: (k,) int64, the kind of each line in the order of the lines, -1 for a kind
    that was not known when templates were learned. ``messages``, ``levels`` and ``components``:
    k texts each, the masked message, the level ("" for none) and the part of the program; a
    session of which only the kinds are known has none. ``parameters``: k tuples, what the mask
    or the template left out of each message.
    """

    templates: IntArray
    messages: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    parameters: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return int(self.templates.size)


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from scores under a false-alarm budget.

    ``p_values``: (n,) float64 in (0, 1], the share of normal items that score at least as
    high. ``threshold``: the score above which an item is an anomaly. ``is_anomaly``: (n,)
    bool. ``false_alarm_rate``: the budget, the share of normal items allowed to ring.
    """

    p_values: FloatArray
    threshold: float
    is_anomaly: BoolArray
    false_alarm_rate: float


@dataclass(frozen=True, slots=True)
class Reason:
    """One part of an item that made it anomalous, in the user's own names and units.

    ``weight`` is this part's share of the whole explanation, from 0 to 1.
    """

    name: str
    seen: float | str | None
    expected: float | str | None
    weight: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one item is anomalous: its reasons, the heaviest first."""

    row: int
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """One anomaly of a series: the points around a peak of the scores.

    ``start``, ``end``, ``peak``: positions among the detection's points, both ends included.
    ``start_time``, ``end_time``, ``peak_time``: their UTC times, None without a time column.
    ``score`` and ``p_value`` are those of the peak. ``reasons``: the channels that drove it,
    with what was seen and expected at the peak.
    """

    start: int
    end: int
    peak: int
    score: float
    p_value: float
    entity: str | None = None
    start_time: np.datetime64 | None = None
    end_time: np.datetime64 | None = None
    peak_time: np.datetime64 | None = None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Drift:
    """A stretch of items of which more are flagged than the budget allows.

    ``first`` and ``last`` are positions, ``flagged`` counts the anomalies between them, and
    ``columns`` are those whose values moved as a whole, the farthest first. ``adapted``: whether
    their levels there were taken as the new normal ones.

    >>> str(Drift(100, 299, 30, ("watts",)))[:61]
    'more is flagged than the budget allows: 15.0 % of 200 rows si'
    """

    first: int
    last: int
    flagged: int
    columns: tuple[str, ...] = ()
    item: str = "rows"
    adapted: bool = False

    def __str__(self) -> str:
        count = self.last - self.first + 1
        moved = f"columns that moved: {', '.join(self.columns)}; " if self.columns else ""
        told = (
            f"{moved}their level from there on was taken as the new normal one"
            if self.adapted
            else f"{moved}this is drift rather than {self.flagged:,} anomalies"
            if self.columns
            else "no column moved by itself: what is normal has changed, or many are anomalous"
        )
        return (
            f"more is flagged than the budget allows: {100 * self.flagged / count:.1f} % of "
            f"{count:,} {self.item} since {self.item.removesuffix('s')} {self.first:,}; {told}"
        )


@dataclass(frozen=True, slots=True)
class Detection:
    """The whole answer for n items: scores, decision, and reasons for the anomalies.

    ``rows``: (n,) int64, the position of each item in its file or frame. ``explanations``:
    by that position, for the anomalies. ``notes``: what was guessed or done on the way.
    ``drift``: where more is flagged than the budget allows, told in the notes too.
    """

    scores: Scores
    decision: Decision
    rows: IntArray
    explanations: Mapping[int, Explanation] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    drift: Drift | None = None

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def anomalies(self) -> IntArray:
        """Positions of the anomalies, the most anomalous first."""
        found = np.flatnonzero(self.decision.is_anomaly)
        return self.rows[found[np.argsort(-self.scores.values[found], kind="stable")]]


@dataclass(frozen=True, slots=True)
class SeriesDetection(Detection):
    """The whole answer for n points of one or several series, one entity after the other.

    ``rows`` holds the row of the file that each point comes from, -1 for a point that was
    filled in. ``values``: (n, channels), the points after preparation, in the user's units;
    ``low`` and ``high``: (n, channels), the band in which normal values were expected.
    ``times``: (n,) datetime64[ns], UTC, or None. ``entities``: (n,), the entity of each point,
    or None. ``intervals``: the anomalies, the most anomalous first.
    """

    channels: tuple[str, ...] = ()
    values: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    low: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    high: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    times: NDArray[np.datetime64] | None = None
    entities: NDArray[Any] | None = None
    intervals: tuple[Interval, ...] = ()

    def at_points(self, labels: IntArray) -> IntArray:
        """Return the label (n,) of each point from those of the rows; 0 where it was filled in."""
        return np.where(self.rows >= 0, labels[self.rows], 0)


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line as it stands in its file, numbered from 1; ``file`` is "" for a list of lines."""

    file: str
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class LogDetection(Detection):
    """The whole answer for n log sessions, in the order of their first lines.

    ``rows`` numbers the sessions from 0. ``keys``: n texts, the session's key, the beginning of
    its window of time, or its line as ``file:number``. ``files`` and ``numbers``: n, where its
    first line stands, ``""`` and 0 for sessions of numbers. ``times``: (n,) datetime64[ms], UTC,
    of its first line, NaT for none. ``sizes``: (n,), its records. ``lines``: by session, for the
    anomalies, lines as they stand in the file, those that matter if there are many.
    ``nearest``: by session, for those explained, the messages of the most similar normal session.
    """

    keys: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    numbers: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    times: NDArray[np.datetime64] = field(default_factory=lambda: np.empty(0, "datetime64[ms]"))
    sizes: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    lines: Mapping[int, tuple[LogLine, ...]] = field(default_factory=dict)
    nearest: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TextMark:
    """A stretch of a text, from ``start`` up to but not including ``end``, that made it anomalous.

    ``weight`` is its share of all that is marked in the text, from 0 to 1.
    """

    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class TextDetection(Detection):
    """The whole answer for n texts, in the order of their rows.

    ``texts``: n, each a str, as they were given. For the anomalies explained, by the position in
    ``rows``: ``marks``, the words that made the text anomalous, in the order of the text;
    ``nearest``, the most similar normal text of the training texts. The reasons of an explanation
    are the marked words, the heaviest first, then what the detector says of the text as a whole,
    such as its share of digits, seen and expected.
    """

    texts: TextArray = field(default_factory=lambda: np.empty(0, dtype=object))
    marks: Mapping[int, tuple[TextMark, ...]] = field(default_factory=dict)
    nearest: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Region:
    """A connected part of an image whose heat exceeds the threshold, in pixels of the image.

    The box reaches from ``left`` and ``top`` up to but not including ``right`` and ``bottom``;
    ``area`` counts the pixels that are hot. ``peak`` is the largest heat, in units of the score.
    """

    left: int
    top: int
    right: int
    bottom: int
    area: int
    peak: float


@dataclass(frozen=True, slots=True)
class SkippedImage:
    """A file that was found among the images and could not be used, and why."""

    row: int
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImageDetection(Detection):
    """The whole answer for n images that could be read, in the order they were given.

    ``rows``: (n,), the position of each among all that were given, those not readable included.
    ``images``: (n,), as they were given, paths or arrays. ``names``: n texts, the path of each
    within its folder, or "image 3". ``sizes``: (n, 2), height and width in pixels. For the
    anomalies explained, by the position in ``rows``: ``maps``, the heat map, which covers the
    whole image, in units of the score; ``regions``, where it exceeds the threshold, the hottest
    first. ``skipped``: what was given and could not be used.
    """

    images: ImageArray = field(default_factory=lambda: np.empty(0, dtype=object))
    names: tuple[str, ...] = ()
    sizes: IntArray = field(default_factory=lambda: np.empty((0, 2), dtype=np.int64))
    maps: Mapping[int, MapArray] = field(default_factory=dict)
    regions: Mapping[int, tuple[Region, ...]] = field(default_factory=dict)
    skipped: tuple[SkippedImage, ...] = ()
