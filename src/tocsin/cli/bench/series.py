"""``tocsin bench series``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tocsin.cli.bench.common import File, Names, Parameters, parse_only, parse_parameters, run_suite


class SeriesBench:
    """The benchmark of series detectors."""

    modality = "series"

    @staticmethod
    def command(
        data: Annotated[
            Path,
            typer.Option(help="A folder: index.csv, KIND/FAMILY/NAME.npz (X, y, train_end)."),
        ],
        kind: Annotated[
            Literal["univariate", "multivariate", "streaming"],
            typer.Option(help="Which series; streaming: univariate, by event.", show_default=True),
        ] = "univariate",
        exact: Annotated[
            bool, typer.Option("--exact", help="Only series that have published figures.")
        ] = False,
        only: Annotated[
            str | None, typer.Option(help="Families, or FAMILY/NAME, separated by commas.")
        ] = None,
        detectors: Names = "auto",
        parameters: Parameters = None,
        json_file: File = None,
    ) -> None:
        """Measure detectors on time series, beside published figures of the same series."""
        from tocsin.evaluate.suites.series import SeriesSuite

        suite = SeriesSuite(data, kind, exact, parse_only(only), parse_parameters(parameters))
        run_suite(suite, detectors, json_file)
