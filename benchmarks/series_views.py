"""Which views of a series bring ``auto`` its figures: each alone, and all but one.

    python benchmarks/series_views.py --data FOLDER [--others SHARE] [--json FILE]

FOLDER holds ``index.csv`` and ``KIND/FAMILY/NAME.npz`` with X, y and train_end. By default the
series with published figures (``tsb_ad_exact``) are taken; with ``--others`` a share of the rest.
Prints mean VUS-PR (of ``score_together``, of ``score``, which has not the whole in view, and of
the views without signs of single points and of spread) and the processor's seconds a series, to
learn and to look, on one core.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from tocsin.detectors.series._fusion import context_period, fuse
from tocsin.detectors.series._views import SeriesContext, SeriesView, WindowView
from tocsin.detectors.series.auto import Auto
from tocsin.evaluate.metrics.ranges import buffer_period, vus
from tocsin.files import write_atomically

MULTIVARIATE = (
    "windows of 100",
    "windows of 100, training scale",
    "windows of a period",
    "windows of 40, training only",
    "forecast",
)
Result = dict[str, Any]


def main() -> None:
    """Print a table for each kind of series."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--others", type=float, help="share of the series without published ones")
    parser.add_argument("--kinds", nargs="+", default=["univariate", "multivariate"])
    parser.add_argument("--families", nargs="+", help="only these")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with (options.data / "index.csv").open(encoding="utf-8") as file:
        index = [row for row in csv.DictReader(file) if row["kind"] in options.kinds]
    if options.families:
        index = [row for row in index if row["family"] in options.families]
    exact = options.others is None
    index = [row for row in index if (row["tsb_ad_exact"] == "True") == exact]
    if not exact:
        count = round(options.others * len(index))
        chosen = np.random.default_rng(0).choice(len(index), count, replace=False)
        index = [index[position] for position in sorted(chosen)]
    results = []
    with threadpool_limits(1):
        for row in index:
            results.append(measure(options.data, row))
            found = results[-1]
            print(
                row["family"],
                row["name"],
                f"{found['all']:.3f} {found['seconds']:.1f} s",
                flush=True,
            )
    for kind in options.kinds:
        table([result for result in results if result["kind"] == kind], kind)
    if options.json:
        write_atomically(options.json, json.dumps(results, indent=1))


def measure(data: Path, row: dict[str, str]) -> Result:
    """Return the VUS-PR of all views, of each group alone and of all others, for one series."""
    with np.load(data / row["kind"] / row["family"] / f"{row['name']}.npz") as file:
        X, y, known = file["X"].astype(np.float64), file["y"], int(file["train_end"])
    known = known if known >= Auto.least_points else len(X)
    start = time.process_time()
    auto = Auto().fit(X[:known])
    context = SeriesContext.of(X, known)
    views = auto._views(context)
    scored = [view(context) for view in views]
    seconds = time.process_time() - start
    period, buffer = context_period(context), buffer_period(X[:, 0])
    result: Result = {key: row[key] for key in ("kind", "family", "name")} | {
        "seconds": seconds,
        "all": vus(y, auto.score_together(X).values, buffer).vus_pr,
        "by score": vus(y, auto.score(X).values, buffer).vus_pr,
        "views": vus(y, fuse(scored, known, period).sum(axis=0), buffer).vus_pr,
    }
    groups = labels(views, len(context.judged))
    for name in dict.fromkeys(groups):
        for label, own in ((f"only {name}", True), (f"without {name}", False)):
            kept = [s for s, g in zip(scored, groups, strict=True) if (g == name) == own]
            result[label] = vus(y, fuse(kept, known, period).sum(axis=0), buffer).vus_pr
    return result


def labels(views: list[SeriesView], channels: int) -> list[str]:
    """Return what each view is called; those of one channel with one name are left out together."""
    if channels > 1:
        return list(MULTIVARIATE)
    return [
        f"{view.form} windows, {view.among}" if isinstance(view, WindowView) else "forecasts"
        for view in views
    ]


def table(results: list[Result], kind: str) -> None:
    """Print the means over series."""
    if not results:
        return
    means = {
        key: float(np.mean([result[key] for result in results]))
        for key in results[0]
        if key not in ("kind", "family", "name")
    }
    print(f"\n{kind}, {len(results)} series, {means['seconds']:.2f} s each: {means['all']:.4f}")
    print(f"by score alone {means['by score']:.4f}, views without signs {means['views']:.4f}")
    families = sorted({str(result["family"]) for result in results})
    for family in families:
        own = [result["all"] for result in results if result["family"] == family]
        print(f"  {family:32}{np.mean(own):8.4f}  ({len(own)})")
    print(f"  {'views':32}{'alone':>8}{'without':>9}")
    for key, mean in means.items():
        if key.startswith("only "):
            name = key.removeprefix("only ")
            print(f"  {name:32}{mean:8.4f}{means[f'without {name}']:9.4f}")


if __name__ == "__main__":
    main()
