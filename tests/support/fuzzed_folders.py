"""Model folders with one value changed and hashes that fit, opened in a child process.

``python -m support.fuzzed_folders 2000`` (in ``tests``) changes 2,000 folders of all detectors and
prints what became of them: scored, refused, a fault (exit 1), a hang, or a signal. Models inside
ONNX graphs are left alone: it is our own code that is asked.
"""

from __future__ import annotations

import json
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Path_ = tuple[Any, ...]
LONGEST = 90.0
"""Seconds for one folder, on a busy machine."""
_MEMORY = 12 * 2**30
_BATCH = 60
_NUMBERS = [-1, 0, 1, 2, 7, 1.5, -0.5, 1e-300, 1e308, -1e308, float("nan"), float("inf")]
_WHOLE = [2**16, 2**31, -(2**31), 2**62, 2**63 - 1, -(2**63), 10**30, 10**400]
_OTHERS = [None, True, False, "", "text", "x" * 1000, [], {}, [1], ["a"], {"a": 1}]
_INTEGERS = [-1, 0, 1, 3, 127, 2**31 - 1, 2**40, 2**63 - 1, -(2**63)]


def changed(state: Any, about: Any, rng: np.random.Generator) -> str:
    """Change one value of a state or of the manifest in place; return which, and how."""
    trees = {"state": state, "about": about}
    leaves = list(_leaves(trees, ()))
    arrays = [(path, x) for path, x in leaves if isinstance(x, np.ndarray)]
    own = [(path, x) for path, x in leaves if path[:2] == ("about", "settings")]
    plain = [(path, x) for path, x in leaves if not isinstance(x, np.ndarray)]
    choice = rng.random()
    among = arrays if choice < 0.55 and arrays else own if choice < 0.75 else plain
    path, value = among[rng.integers(len(among))]
    parent = trees
    for step in path[:-1]:
        parent = parent[step]
    name = "/".join(map(str, path))
    if isinstance(parent, dict) and rng.random() < 0.06:
        del parent[path[-1]]
        return f"{name} removed"
    new = _changed_array(value, rng) if isinstance(value, np.ndarray) else _other(value, rng)
    parent[path[-1]] = new
    return f"{name}: {_shown(value)} -> {_shown(new)}"


def _leaves(value: Any, path: Path_) -> Iterator[tuple[Path_, Any]]:
    if path and path[-1] == "content_":
        return
    if isinstance(value, dict) and value:
        for key in value:
            yield from _leaves(value[key], (*path, key))
    elif isinstance(value, list) and value:
        yield path, value
        for i in {0, len(value) // 2, len(value) - 1}:
            yield from _leaves(value[i], (*path, i))
    elif path:
        yield path, value


def _other(value: Any, rng: np.random.Generator) -> Any:
    if isinstance(value, list) and value and rng.random() < 0.5:
        return [value[:-1], value[1:], value * 2, value[::-1]][rng.integers(4)]
    if isinstance(value, int | float) and not isinstance(value, bool) and rng.random() < 0.7:
        near = [value + 1, value - 1, value * 2, value // 2, -value]
        several = [*_NUMBERS, *_WHOLE, *near]
        return several[rng.integers(len(several))]
    several = [*_OTHERS, *_NUMBERS, *_WHOLE]
    return several[rng.integers(len(several))]


def _changed_array(x: Any, rng: np.random.Generator) -> Any:
    shapes = [
        lambda: x[1:] if x.ndim else x[None],
        lambda: x[:-1] if x.ndim else x[None],
        lambda: x[:0] if x.ndim else x[None],
        lambda: x[..., :-1] if x.ndim > 1 else np.concatenate([x.ravel(), x.ravel()]),
        x.ravel,
        lambda: x[None],
        lambda: np.ascontiguousarray(x.T) if x.ndim > 1 else x[:, None] if x.ndim else x,
        lambda: np.concatenate([x, x]) if x.ndim else x,
        lambda: x.astype(np.float32 if x.dtype != np.float32 else np.int64),
        lambda: x.astype(np.int64 if x.dtype != np.int64 else np.float64),
        lambda: x.astype(np.uint8),
        lambda: x.astype(bool),
        lambda: 3,
        lambda: None,
    ]
    with np.errstate(all="ignore"):
        if rng.random() < 0.4 or not x.size:
            return shapes[rng.integers(len(shapes))]()
        return _changed_values(x.copy(), rng)


def _changed_values(x: Any, rng: np.random.Generator) -> Any:
    at = ... if rng.random() < 0.2 else np.unravel_index(rng.integers(x.size), x.shape)
    if x.dtype.kind == "b":
        x[at] = not x.flat[0]
    elif x.dtype.kind == "f":
        x[at] = np.array(_NUMBERS[rng.integers(len(_NUMBERS))]).astype(x.dtype)
    else:
        info = np.iinfo(x.dtype)
        values = [*_INTEGERS, len(x) if x.ndim else 1, int(x.max()) + 1, int(x.min()) - 1]
        x[at] = max(info.min, min(info.max, values[rng.integers(len(values))]))
    return x


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}"
    return repr(value)[:60]


def write_changed(folder: Path, out: Path, seed: int) -> str:
    """Write a folder with one value changed and hashes made again; return what was changed."""
    from tocsin.store.folder import load_state, save_state

    state, about = load_state(folder)
    more = {n: (folder / n).read_bytes() for n in about["files"] if n.endswith(".onnx")}
    about = {k: v for k, v in about.items() if k not in ("files", "sizes", "format_version")}
    what = changed(state, about, np.random.default_rng(seed))
    try:
        save_state(out, state, about, more)
    except Exception as error:  # noqa: BLE001 - some values cannot be written at all
        return f"{what}: not written, {error}"
    return what


def ask(folders: Sequence[tuple[Path, str]]) -> Iterator[tuple[int, str, str]]:
    """Yield for each folder of a case its number, what became of it, and details."""
    at = 0
    while at < len(folders):
        for number, outcome, detail in _ask_child(folders[at:]):
            yield at + number, outcome, detail
            last = number
        at += last + 1


def _ask_child(folders: Sequence[tuple[Path, str]]) -> Iterator[tuple[int, str, str]]:
    """Yield what one child says until it has seen all, or died."""
    asked = json.dumps([[str(path), case] for path, case in folders])
    command = [sys.executable, "-m", "support.fuzzed_folders", "--child"]
    with subprocess.Popen(
        command,
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(asked)
        child.stdin.close()
        number = -1
        while True:
            wait = LONGEST + (60.0 if number < 0 else 0.0)
            if not select.select([child.stdout], [], [], wait)[0]:
                child.kill()
                yield number + 1, "hang", ""
                return
            line = child.stdout.readline()
            if not line:
                break
            number, outcome, detail = json.loads(line)
            yield number, outcome, detail
    if number + 1 < len(folders):
        yield number + 1, "signal", str(child.returncode)


def _child() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import tocsin
    from support.trained import new_items
    from tocsin.errors import TocsinError

    asked = json.loads(sys.stdin.read())
    X = {case: new_items(case) for case in sorted({case for _, case in asked})}
    for number, (path, case) in enumerate(asked):
        step, detail = "loading", ""
        try:
            pipeline = tocsin.load(path)
            step = "scoring"
            pipeline.score(X[case])
            pipeline.detect(X[case])
            outcome = "scored"
        except TocsinError as error:
            outcome, detail = f"refused {step}", f"{type(error).__name__}: {error}"[:300]
        except BaseException as error:  # noqa: BLE001 - what ends the command with exit 1
            outcome = f"fault {step}"
            frames = traceback.extract_tb(error.__traceback__)
            own = [f for f in frames if "tocsin" in f.filename] or list(frames)
            place = f"{Path(own[-1].filename).name}:{own[-1].lineno} {own[-1].name}"
            detail = f"{type(error).__name__}: {str(error)[:120]} at {place}"
        print(json.dumps([number, outcome, detail]), flush=True)


def fuzz(folders: Sequence[Path], n: int, seed: int = 0) -> list[list[str]]:
    """Return [name, what was changed, what became of it, details] of n changed folders."""
    found = []
    with tempfile.TemporaryDirectory() as room:
        for first in range(0, n, _BATCH):
            batch, asked = [], []
            for i in range(first, min(n, first + _BATCH)):
                folder = folders[i % len(folders)]
                out = Path(room) / f"m{i}"
                what = write_changed(folder, out, seed * 1_000_003 + i)
                batch.append([folder.name, what])
                asked.append((out, folder.name))
            for number, outcome, detail in ask(asked):
                found.append([*batch[number], outcome, detail])
            for out, _ in asked:
                shutil.rmtree(out, ignore_errors=True)
    return found


def main() -> None:
    """Train every detector, change folders, and print what became of them."""
    from support.trained import VARIANTS, cases, save_trained

    n, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with tempfile.TemporaryDirectory() as room:
        where = Path(sys.argv[3] if len(sys.argv) > 3 else room)
        for case in [*cases(), *VARIANTS]:
            folder = where / "-".join(case)
            if not folder.exists():
                save_trained(case, folder)
        folders = sorted(where.iterdir())
        found = fuzz(folders, n, seed)
    for name, what, outcome, detail in found:
        if not outcome.startswith(("scored", "refused")):
            print(f"{outcome}\t{name}\t{what}\t{detail}")
    print(len(found), dict(Counter(outcome for _, _, outcome, _ in found)))
    errors = (detail.partition(":")[0] for *_, outcome, detail in found if "refused" in outcome)
    print("refused by", dict(Counter(errors)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child()
    else:
        main()
