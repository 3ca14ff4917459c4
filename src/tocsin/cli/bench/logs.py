"""``tocsin bench logs``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tocsin.cli.bench.common import File, Names, Numbers, parse_only, run_suite


class LogBench:
    """The benchmark of log detectors."""

    modality = "logs"

    @staticmethod
    def command(
        data: Annotated[
            Path, typer.Option(help="A folder that holds hdfs_sessions, bgl/BGL_2k.log, or both.")
        ],
        protocols: Annotated[
            str | None,
            typer.Option(help="Of hdfs_clean, hdfs_1 (%) to hdfs_35, bgl_level, bgl_no_level."),
        ] = None,
        seeds: Numbers = "0,1,2",
        detectors: Names = "auto",
        json_file: File = None,
    ) -> None:
        """Measure detectors on sessions of events, clean and contaminated, and on log lines."""
        from tocsin.cli.parsing import split_numbers
        from tocsin.evaluate.suites.logs import LogSuite

        suite = LogSuite(data, parse_only(protocols) or (), split_numbers(seeds))
        run_suite(suite, detectors, json_file)
