"""``tocsin bench tables``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tocsin.cli.bench.common import File, Names, Numbers, run_suite


class TableBench:
    """The benchmark of table detectors."""

    modality = "tables"

    @staticmethod
    def command(
        data: Annotated[
            Path, typer.Option(help="A folder of NAME.npz files: X and y, or a split set.")
        ],
        protocol: Annotated[
            Literal["clean", "mixed"],
            typer.Option(help="clean: one-class. mixed: unlabelled.", show_default=True),
        ] = "clean",
        seeds: Numbers = "0,1,2",
        detectors: Names = "auto,neighbours",
        json_file: File = None,
    ) -> None:
        """Measure detectors on tables; the others are compared with the first one named."""
        from tocsin.cli.parsing import split_numbers
        from tocsin.evaluate.suites.tables import TableSuite

        run_suite(TableSuite(data, protocol, split_numbers(seeds)), detectors, json_file)
