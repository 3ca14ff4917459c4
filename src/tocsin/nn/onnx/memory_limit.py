"""A limit on the memory that ONNX models take, all of a process together."""

from __future__ import annotations

import os
import threading
from typing import Any

_SHARE = 2
_UNKNOWN = 16 * 2**30

_lock = threading.Lock()
_registered = False


def limit_memory(onnxruntime: Any, options: Any) -> None:
    """Let a session with these onnxruntime.SessionOptions allocate from the arena that is limited.

    Operators can make much of little: a few bytes say how large a tensor is to become. What would
    take more than half of the machine's memory fails in the run that asks for it.
    """
    global _registered  # noqa: PLW0603 - onnxruntime has one arena for the process
    with _lock:
        if not _registered:
            kinds = onnxruntime.OrtAllocatorType, onnxruntime.OrtMemType
            place = onnxruntime.OrtMemoryInfo(
                "Cpu", kinds[0].ORT_ARENA_ALLOCATOR, 0, kinds[1].DEFAULT
            )
            arena = onnxruntime.OrtArenaCfg({"max_mem": most_bytes()})
            onnxruntime.create_and_register_allocator(place, arena)
            _registered = True
    options.add_session_config_entry("session.use_env_allocators", "1")
    # Weights go when their session does, and are no larger than the model itself.
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")


def most_bytes() -> int:
    """Return half of the machine's memory in bytes, 16 GiB where it is not known."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _SHARE
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return _UNKNOWN
