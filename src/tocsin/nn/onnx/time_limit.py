"""A limit on the time that one run of an ONNX model takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SECONDS = 300.0
"""One run, of one image or of some hundred rows, ends after this."""

_PAUSE = 1.0

_lock = threading.Lock()
_runs: dict[int, tuple[float, Any]] = {}
_begun = threading.Event()
_watch: threading.Thread | None = None


@contextmanager
def limited(options: Any, seconds: float | None = None) -> Iterator[None]:
    """Stop a run with these onnxruntime.RunOptions between two operators when it takes too long.

    One thread watches over all runs: starting one for each takes longer than small runs do.
    """
    global _watch  # noqa: PLW0603 - one for the process, and one more after a fork
    deadline = time.monotonic() + (SECONDS if seconds is None else seconds)
    with _lock:
        _runs[id(options)] = (deadline, options)
        if _watch is None or not _watch.is_alive():
            _watch = threading.Thread(target=_stop_late_runs, daemon=True, name="tocsin-onnx-limit")
            _watch.start()
    _begun.set()
    try:
        yield
    finally:
        with _lock:
            _runs.pop(id(options), None)


def _stop_late_runs() -> None:
    while _begun.wait():
        time.sleep(_PAUSE)
        with _lock:
            for deadline, options in _runs.values():
                if time.monotonic() > deadline:
                    options.terminate = True
            if not _runs:
                _begun.clear()
