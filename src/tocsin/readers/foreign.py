"""Formats that are not read, by the ending of a file: what they are, and what to do instead."""

from __future__ import annotations

_CHANNELS = "Export its channels to CSV or Parquet, with a column of times."
_SHEET = "Save the sheet as CSV."
_ROWS = "Export the table to CSV or Parquet."
_ADVICE = {
    "a measurement": (
        ("mf4", "mdf", "tdms", "edf", "bdf", "mseed", "miniseed", "sac", "sgy", "segy"),
        _CHANNELS,
    ),
    "a recording of a bus or a device": (
        ("blf", "asc", "trc", "ulg", "ulog", "fit", "bag", "mcap", "db3"),
        _CHANNELS,
    ),
    "an array of a scientific format": (
        ("nc", "nc4", "h5", "hdf5", "hdf", "fits", "mat", "zarr", "grib", "grb"),
        "Export the variables to CSV, Parquet or .npy.",
    ),
    "a medical image": (("dcm", "nii"), "Export the slices as PNG or TIFF."),
    "a capture of packets": (
        ("pcap", "pcapng", "cap"),
        "Export a row per packet or flow to CSV, with the lengths on the wire.",
    ),
    "a binary log": (
        ("evtx", "evt", "journal", "etl"),
        "Export it as one JSON object per line (.jsonl).",
    ),
    "a sound": (
        ("wav", "flac", "mp3", "ogg", "aac", "m4a"),
        "Compute features per second and give them as CSV, or the samples as .npy.",
    ),
    "a film": (("mp4", "avi", "mov", "mkv"), "Export its frames as images, into a folder."),
    "a spreadsheet": (("xlsx", "xls", "xlsm", "ods"), _SHEET),
    "a database": (("db", "sqlite", "sqlite3", "duckdb", "mdb", "accdb"), _ROWS),
    "a table of another format": (
        ("feather", "arrow", "orc", "avro", "sas7bdat", "sav", "dta", "rds", "rdata"),
        _ROWS,
    ),
    "Python objects, which are never loaded": (
        ("pkl", "pickle", "joblib", "pt", "pth"),
        "Save arrays as .npy, tables as Parquet.",
    ),
    "XML": (
        ("xml", "html", "htm", "gpx", "kml"),
        "Export its records to CSV, or to one JSON object per line (.jsonl).",
    ),
    "a document": (("pdf", "doc", "docx"), "Save its text as .txt, its tables as CSV."),
    "an archive": (
        ("zip", "tar", "tgz", "7z", "rar", "bz2", "xz", "zst"),
        "Unpack it, and give a file inside it.",
    ),
    "lines of a time-series database": (("lp", "prom"), "Export the points to CSV."),
}


def advise(suffix: str) -> str:
    """Return what a file of this ending is and what to do, "" if that is not known.

    >>> advise(".xlsx")
    'It is a spreadsheet by its name. Save the sheet as CSV.'
    """
    ending = suffix.lower().lstrip(".")
    for what, (endings, remedy) in _ADVICE.items():
        if ending in endings:
            return f"It is {what} by its name. {remedy}"
    return ""
