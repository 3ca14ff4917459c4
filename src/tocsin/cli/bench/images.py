"""``tocsin bench images``."""

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


class ImageBench:
    """The benchmark of image detectors."""

    modality = "images"

    @staticmethod
    def command(
        data: Annotated[
            Path,
            typer.Option(
                help="A folder of sets: NAME/train/good, NAME/test/good, NAME/test/DEFECT, and "
                "masks in NAME/ground_truth/DEFECT or boxes in NAME/boxes."
            ),
        ],
        shots: Annotated[
            str | None,
            typer.Option(
                help="From how many good images to learn, separated by commas.", show_default="all"
            ),
        ] = None,
        only: Only = None,
        seeds: Numbers = "0,1,2",
        detectors: Names = "auto",
        parameters: Parameters = None,
        json_file: File = None,
    ) -> None:
        """Measure detectors on images: which are anomalous, where, and in what time and memory.

        They learn from good images alone, on one thread. Memory is that of the whole process.
        """
        from tocsin.cli.parsing import split_numbers
        from tocsin.evaluate.suites.images import ImageSuite

        suite = ImageSuite(
            data,
            split_numbers(seeds),
            split_numbers(shots) if shots else (None,),
            parse_only(only),
            parse_parameters(parameters),
        )
        run_suite(suite, detectors, json_file)
