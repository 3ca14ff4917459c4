"""Work in a child process whose memory is limited."""

from __future__ import annotations

import os
import subprocess
import sys

_CODE = """
import resource, sys
from pathlib import Path
import numpy, pandas, pyarrow.parquet
from tocsin.errors import TocsinError
from tocsin.readers import limits
path, rows, most, unit = Path(sys.argv[1]), *map(int, sys.argv[2:])
limits._SMALL, limits.CHUNK_TEXT, limits.CHUNK_BYTES = 8 * unit, 4 * unit, unit
from tocsin.readers.table import iter_table, read_table
here = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (here + most, here + most))
try:
    frames = iter_table(path, rows) if rows else [read_table(path)]
    print("rows", *(len(frame) for frame in frames))
except TocsinError as error:
    print("refused", error)
"""


def read_within(path: object, megabytes: int, *, rows: int = 0, **environment: str) -> list[str]:
    """Read a table in a child that may use so much memory more than it begins with.

    All limits of sizes are a 32nd of what they are, so that small files show what large ones do.
    Returns "rows" and the rows of each chunk, or "refused" and why. Fails where memory runs out.
    """
    words = [sys.executable, "-c", _CODE, str(path), str(rows), str(megabytes << 20), str(1 << 20)]
    done = subprocess.run(
        words, capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout.strip().split(" ", 1)
