"""``tocsin bench text``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tocsin.cli.bench.common import (
    File,
    Names,
    Numbers,
    Only,
    Parameters,
    parse_only,
    parse_parameters,
    run_suite,
)


class TextBench:
    """The benchmark of text detectors."""

    modality = "text"

    @staticmethod
    def command(
        data: Annotated[Path, typer.Option(help="A folder of NAME.csv files: text and label.")],
        protocols: Annotated[
            str | None, typer.Option(help="Of normal_only, unlabelled, five_labels; else all.")
        ] = None,
        only: Only = None,
        seeds: Numbers = "0,1,2",
        detectors: Names = "auto",
        parameters: Parameters = None,
        json_file: File = None,
    ) -> None:
        """Measure detectors on texts: normal ones, unlabelled ones, five labelled anomalies.

        For the true speed of an encoder set TOCSIN_CACHE=off, so that it embeds every text again.
        """
        from tocsin.cli.parsing import split_numbers
        from tocsin.evaluate.suites.text import TextSuite

        suite = TextSuite(
            data,
            parse_only(protocols) or (),
            split_numbers(seeds),
            parse_only(only),
            parse_parameters(parameters),
        )
        run_suite(suite, detectors, json_file)
