"""Malformed, odd and hostile files of every modality, by a seed; all harmless, our own."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from support.jobs import day
from support.odd_tables import CELLS, TABLES, Rng, dumps, series, spoil, table
from support.texts import known

_UNITS = (
    " ",
    "\t",
    "0",
    "1",
    "9.",
    "-",
    "a",
    '"',
    "'",
    "[",
    "]",
    "{",
    "(",
    ":",
    ";",
    ",",
    "\\",
    "=",
    "|",
)
_UNITS += (
    "{}",
    "[[",
    "a=b ",
    '","',
    "\r",
    "\0",
    "\x1b[",
    "é",
    "\ufeff",
    "2026-",
    "12:",
    "<1>",
    "  \n",
    "#",
)


def _log(rng: Rng) -> bytes:
    lines = day(60)
    forms: list[Callable[[int], str]] = [
        lambda i: (
            f'10.0.0.{i % 9} - - [01/Mar/2026:10:{i % 60:02}:00 +0000] "GET /a{i} HTTP/1.1" 200 {i}'
        ),
        lambda i: f"Mar  1 10:{i % 60:02}:00 host app[{i}]: opened {i}",
        lambda i: f"<34>1 2026-03-01T10:{i % 60:02}:00Z host app {i} ID - opened",
        lambda i: dumps(
            {"time": f"2026-03-01T10:{i % 60:02}:00Z", "level": "info", "msg": f"opened {i}"}
        ),
        lambda i: f"time=2026-03-01T10:{i % 60:02}:00Z level=warn msg=opened n={i}",
        lambda i: f"[Sun Mar 01 10:{i % 60:02}:00 2026] [error] [pid {i}] [client 1.2.3.4] gone",
        lambda i: f"E0301 10:{i % 60:02}:00.000000 {i} main.go:5] opened",
        lambda i: f"type=USER msg=audit(17722{i:05}.1:{i}): pid={i}",
        lambda i: f"web_1  | 2026-03-01 10:{i % 60:02}:00 INFO opened {i}",
        lambda i: f"plain words {i}",
    ]
    if rng.random() < 0.8:
        form = forms[rng.integers(len(forms))]
        lines = [form(i) for i in range(180)]
    if rng.random() < 0.2:
        other = forms[rng.integers(len(forms))]
        lines[::3] = [other(i) for i in range(len(lines[::3]))]
    for _ in range(rng.integers(0, 6)):
        at, unit = rng.integers(len(lines)), _UNITS[rng.integers(len(_UNITS))]
        line, cut = lines[at], rng.integers(len(lines[at]) + 1)
        lines[at] = line[:cut] + unit * int(rng.choice([1, 40, 3_000, 9_000])) + line[cut:]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _texts(rng: Rng) -> bytes:
    lines = known(100)
    for _ in range(rng.integers(0, 5)):
        cell = CELLS[rng.integers(len(CELLS))]
        lines[rng.integers(len(lines))] = str(cell)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _picture(rng: Rng, kind: str) -> bytes:
    side = (64, 64)
    if rng.random() < 0.2:
        side = [(1, 1), (1, 3_000), (16, 16), (2_000, 17), (300, 200)][rng.integers(5)]
    mode = str(rng.choice(["RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "I;16", "I", "F", "YCbCr"]))
    image = Image.new("RGB", side, (90, 90, 90))
    ImageDraw.Draw(image).ellipse((5, 5, 20, 20 + int(rng.integers(20))), fill=(200, 10, 10))
    out = io.BytesIO()
    try:
        image.convert("L").convert(mode if mode != "I;16" else "I").save(out, kind)
    except (OSError, ValueError, KeyError):
        image.save(out, kind)
    content = out.getvalue()
    if kind == "PNG" and rng.random() < 0.2:  # a size that lies
        head = struct.pack(">II", *rng.integers(0, 40_000, 2))
        content = (
            content[:16]
            + head
            + content[24:29]
            + struct.pack(">I", zlib.crc32(b"IHDR" + head + content[24:29]))
            + content[33:]
        )
    return content


def _damaged(content: bytes, rng: Rng) -> bytes:
    """Return bytes with something cut, changed, inserted or wrapped."""
    at, end = sorted(int(i) for i in rng.integers(0, len(content) + 1, 2))
    unit = _UNITS[rng.integers(len(_UNITS))].encode()
    kinds: list[Callable[[], bytes]] = [
        lambda: content[:at],
        lambda: content[at:],
        lambda: content[:at] + content[end:],
        lambda: content[:at] + content[at:end][:5_000] * int(rng.choice([2, 30])) + content[end:],
        lambda: content[:at] + unit * int(rng.choice([1, 50, 20_000])) + content[at:],
        lambda: content[:at] + rng.bytes(int(rng.choice([1, 8, 4_000]))) + content[at:],
        lambda: rng.bytes(200) + content,
        lambda: _flipped(content, rng),
        lambda: content + b"\0" * 5_000,
        lambda: content.decode("utf-8", "replace").encode("utf-16"),
        lambda: content.decode("utf-8", "replace").encode("utf-16-be", "replace"),
        lambda: b"\xef\xbb\xbf" * 2 + content,
        lambda: content.decode("utf-8", "replace").encode("cp1252", "replace") + b"\xe9\x81",
        lambda: content.replace(b"\n", b"\r"),
        lambda: content.replace(b"\n", b"\r\n\r\n"),
        lambda: b"",
        lambda: b"\n" * 50,
        lambda: gzip.compress(content),
        lambda: [bz2.compress, lzma.compress][rng.integers(2)](content),
        lambda: content * 2,
    ]
    return kinds[rng.integers(len(kinds))]()


def _flipped(content: bytes, rng: Rng) -> bytes:
    if not content:
        return content
    changed = np.frombuffer(content, dtype=np.uint8).copy()
    places = rng.integers(len(changed), size=int(rng.choice([1, 5, 60])))
    changed[places] ^= rng.integers(1, 256, size=len(places)).astype(np.uint8)
    return changed.tobytes()


_PICTURES = {"png": "PNG", "jpg": "JPEG", "bmp": "BMP", "tif": "TIFF", "webp": "WEBP"}
MODALITIES = ("tables", "series", "logs", "text", "images")


def write_odd(folder: Path, modality: str, rng: Rng) -> Path:
    """Write a file (or a folder) of a modality that is odd in one way or several."""
    damaged = rng.random() < 0.4
    if modality == "images":
        return _write_images(folder, rng, damaged=damaged)
    if modality in ("tables", "series"):
        ending = str(rng.choice(list(TABLES)))
        make = table if modality == "tables" else series
        frame = make(rng) if rng.random() < 0.3 and damaged else spoil(make(rng), rng)
        content = TABLES[ending](frame, rng)
    elif modality == "text" and rng.random() < 0.5:
        frame = pd.DataFrame({"n": range(100), "body": known(100)})
        ending = str(rng.choice(list(TABLES)[:8]))
        content = TABLES[ending](spoil(frame, rng), rng)
    else:
        ending = "txt" if modality == "text" else "log"
        content = _texts(rng) if modality == "text" else _log(rng)
    if damaged:
        content = _damaged(content, rng)
    if ending not in ("parquet", "npy", "npz") and rng.random() < 0.15:
        ending += ".gz"
        content = gzip.compress(content)
        content = _damaged(content, rng) if rng.random() < 0.3 else content
    if rng.random() < 0.05:
        ending = str(
            rng.choice(["csv", "json", "parquet", "npy", "log", "txt", "png", "xlsx", "csv.gz"])
        )
    path = folder / f"data.{ending}"
    path.write_bytes(content)
    return path


def _write_images(folder: Path, rng: Rng, *, damaged: bool) -> Path:
    home = folder / "images"
    home.mkdir()
    for i in range(int(rng.choice([1, 3, 12]))):
        ending = str(rng.choice(list(_PICTURES)))
        content = _picture(rng, _PICTURES[ending])
        if damaged and rng.random() < 0.5:
            content = _damaged(content, rng)
        (home / f"part{i}.{ending}").write_bytes(content)
    return home
