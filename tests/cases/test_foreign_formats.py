"""Files of formats that are not read: one line that says what they are and what to do."""

import pytest

from support.commands import invoke
from tocsin.errors import UnreadableFile

FORMATS = {
    "a.mf4": "channels to CSV",
    "a.TDMS": "channels to CSV",
    "a.mseed": "channels to CSV",
    "a.nc": "variables to CSV",
    "a.pcap": "row per packet",
    "a.evtx": "one JSON object per line",
    "a.evtx.gz": "one JSON object per line",
    "a.wav": "features per second",
    "a.xlsx": "Save the sheet as CSV",
    "a.sqlite": "Export the table",
    "a.pkl": "never loaded",
    "a.zip": "Unpack it",
    "a.xml": "Export its records",
    "a.strange": "Known: .csv",
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("content", [b"\x00\x01\x02junk\xff" * 99, b"<a>1</a>\n" * 99])
def test_other_formats_are_refused_with_a_way_out(tmp_path, name, content):
    """The name of the file, what it is, what to do; never a traceback."""
    path = tmp_path / name
    path.write_bytes(content)
    message = str(invoke("detect", path, fails=UnreadableFile).exception)
    assert str(path) in message
    assert FORMATS[name] in message
    assert "\n" not in message
