"""Learning, scoring and explaining of every modality, where each try to reach a network is seen.

``python -m support.offline FOLDER`` (in ``tests``) prints as JSON what was tried. Python's own
calls are seen by an audit hook. In a network namespace of its own (``unshare -rnm``), whose only
interface is the loopback and whose name server is on it, so are those of native code: as packets.
"""

from __future__ import annotations

import fcntl
import json
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import tocsin
from support.jobs import day, fault
from support.walls import walls
from tocsin.detectors.images.patch_memory import PatchMemory
from tocsin.detectors.tables.autoencoder import Autoencoder
from tocsin.detectors.text.text_neighbours import TextNeighbours
from tocsin.errors import MissingExtra

_EVENTS = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo"}
_NAMES = {"socket.gethostbyname", "socket.gethostbyaddr", "urllib.Request", "http.client.connect"}
_SET_FLAGS, _UP, _ALL_PACKETS = 0x8914, 1, 3


def tables(folder: Path) -> None:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(120, 3)), columns=list("abc"))
    _use(tocsin.Pipeline("auto"), X, folder)
    tocsin.Pipeline(Autoencoder(members=2, steps=20)).fit(X).save(folder / "onnx")
    tocsin.load(folder / "onnx", runtime="onnx").score(X)


def series(folder: Path) -> None:
    wave = np.sin(np.arange(400) / 8) + 5 * (np.arange(400) == 200)
    time = pd.date_range("2026-01-01", periods=400, freq="min")
    _use(tocsin.SeriesPipeline("auto"), pd.DataFrame({"time": time, "v": wave}), folder)


def logs(folder: Path) -> None:
    path = folder / "a.log"
    path.write_text("\n".join([*day(60), *fault(61)]) + "\n")
    _use(tocsin.LogPipeline("auto"), path, folder)


def text(folder: Path) -> None:
    texts = [f"see you at {i} in the office" for i in range(60)]
    _use(tocsin.TextPipeline("auto"), texts, folder)
    with suppress(MissingExtra):
        _use(tocsin.TextPipeline(TextNeighbours(encoder="minilm")), texts[:20], folder)


def images(folder: Path) -> None:
    with suppress(MissingExtra):
        _use(tocsin.ImagePipeline(PatchMemory(size=64, bank=50)), walls(10), folder)


def _use(pipeline: Any, X: Any, folder: Path) -> None:
    """Learn, save, load, score, and explain what is anomalous."""
    path = folder / f"model{len(list(folder.iterdir()))}"
    pipeline.fit(X).save(path)
    loaded = tocsin.load(path)
    loaded.score(X)
    loaded.detect(X)


def _packets() -> socket.socket | None:
    """Return a socket that sees all packets of this namespace, None where it is not our own."""
    if "--namespace" not in sys.argv:
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sH14s", b"lo", _UP, b""))
    servers = Path(sys.argv[1]) / "resolv.conf"
    servers.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    subprocess.run(["mount", "--bind", servers, "/etc/resolv.conf"], check=True)
    seen = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PACKETS))
    seen.setblocking(False)
    return seen


def _count(packets: socket.socket | None) -> int | None:
    """Return how many packets there were since the last count."""
    if packets is None:
        return None
    found = 0
    with suppress(BlockingIOError):
        while packets.recv(65_536):
            found += 1
    return found


def main() -> None:
    """Use every modality, and then, to see that it is seen, look up a name as native code does."""
    packets = _packets()
    tried: list[str] = []

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EVENTS | _NAMES:
            tried.append(f"{event} {arguments[1:]}")

    sys.addaudithook(watch)
    for use in (tables, series, logs, text, images):
        folder = Path(sys.argv[1]) / use.__name__
        folder.mkdir()
        use(folder)
    found = {"tried": list(tried), "packets": _count(packets)}
    subprocess.run(["getent", "hosts", "seen.invalid"], check=False)
    with suppress(OSError):
        socket.getaddrinfo("seen.invalid", 80)
    json.dump(
        {**found, "seen": tried[len(found["tried"]) :], "native": _count(packets)}, sys.stdout
    )


if __name__ == "__main__":
    main()
