"""Reading log files: line ends, encodings, gzip, rotation, folders, limits, refusals."""

import gzip
import os
import tracemalloc

import pytest

from tocsin.errors import InputError, UnreadableFile
from tocsin.readers.lines import RawLine, ReadCounts, read_lines


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def texts(paths, **settings):
    return [line.text for line in read_lines(paths, **settings)]


def test_lines_know_their_file_and_number(tmp_path):
    path = write(tmp_path, "app.log", "one\n\nthree")
    assert list(read_lines(path)) == [
        RawLine(str(path), 1, "one"),
        RawLine(str(path), 2, ""),
        RawLine(str(path), 3, "three"),
    ]


def test_line_ends_byte_order_marks_and_zeros(tmp_path):
    path = write(
        tmp_path, "a.log", b"\xef\xbb\xbfone\r\ntwo\rstill two\r\n" + b"x" * 999 + b"\0\0\n"
    )
    counts = ReadCounts()
    assert texts(path, counts=counts) == ["one", "two\rstill two", "x" * 999]
    assert counts.zeros == 2
    assert texts(write(tmp_path, "b.log", "größe\nzwei\n".encode("utf-16"))) == ["größe", "zwei"]


def test_broken_bytes_are_replaced_and_counted(tmp_path):
    path = write(tmp_path, "a.log", "gut\nschön\n".encode() + "schön\n".encode("latin-1"))
    counts = ReadCounts()
    assert texts(path, counts=counts) == ["gut", "schön", "schön"]
    assert counts.notes == ["1 lines were read as Windows-1252"]
    path = write(tmp_path, "b.log", "gut\nschön\n".encode() + "schön ".encode() + b"\xf6\n")
    counts = ReadCounts()
    assert texts(path, counts=counts) == ["gut", "schön", "schön \ufffd"]
    assert counts.undecodable == 1
    assert "1 lines were not valid text" in counts.notes


def test_any_script_survives_any_block_boundary(tmp_path):
    lines = [f"{'日本語 🎉 ' * (i % 7)}{i}" for i in range(20_000)]
    path = write(tmp_path, "a.log", "\n".join(lines))
    counts = ReadCounts()
    assert texts(path, counts=counts) == lines
    assert counts.undecodable == 0
    assert counts.lines == 20_000


def test_overlong_lines_are_cut_in_bounded_memory(tmp_path):
    path = write(tmp_path, "a.log", "é" * 5_000_000 + "\nnext\n" + "y" * 100)
    counts = ReadCounts()
    tracemalloc.start()
    try:
        found = texts(path, most_characters=50, counts=counts)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == ["é" * 50, "next", "y" * 50]
    assert counts.cut == 2
    assert counts.undecodable == 0
    assert peak < 2_000_000


def test_gzip_is_told_by_content(tmp_path):
    path = write(tmp_path, "app.log", gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    assert texts(path) == ["one", "two"]
    plain = write(tmp_path, "plain.gz", "no gzip at all\n")
    assert texts(plain) == ["no gzip at all"]


def test_damaged_gzip_is_refused(tmp_path):
    whole = gzip.compress(os.urandom(20_000).hex().encode())
    with pytest.raises(UnreadableFile, match=r"cut\.log.*damaged"):
        texts(write(tmp_path, "cut.log", whole[:-100]))
    with pytest.raises(UnreadableFile, match="damaged"):
        texts(write(tmp_path, "bad.log", whole[:5000] + b"\xff" * 50 + whole[5050:]))


def test_decompression_limits(tmp_path, monkeypatch):
    path = write(tmp_path, "bomb.gz", gzip.compress((b"a" * 999 + b"\n") * 4_000))
    with pytest.raises(UnreadableFile, match=r"bomb\.gz.*1,000,000 bytes"):
        texts(path, most_bytes=1_000_000)
    assert len(texts(path)) == 4_000
    monkeypatch.setattr("tocsin.readers.limits._SMALL", 1 << 20)
    with pytest.raises(UnreadableFile, match="more than 200 times its size"):
        texts(path)


def test_rotated_sets_are_read_oldest_first(tmp_path):
    write(tmp_path, "app.log", "5")
    write(tmp_path, "app.log.1", "4")
    write(tmp_path, "app.log.2.gz", gzip.compress(b"3"))
    write(tmp_path, "app.log.10.gz", gzip.compress(b"2"))
    write(tmp_path, "app.log-20240101", "1")
    write(tmp_path, "web.log", "b")
    write(tmp_path, "web-2024-01-02.log", "a")
    write(tmp_path, ".hidden", "no")
    (tmp_path / "inner").mkdir()
    write(tmp_path / "inner", "x.log", "z")
    assert texts(tmp_path) == ["1", "2", "3", "4", "5", "z", "a", "b"]
    assert texts([tmp_path / "app.log", tmp_path / "app.log.1", tmp_path / "app.log"]) == ["4", "5"]


def test_binary_files_are_refused_and_skipped_in_folders(tmp_path):
    binary = write(tmp_path, "core", bytes(range(256)) * 10)
    write(tmp_path, "app.log", "fine")
    write(tmp_path, "empty.log", "")
    with pytest.raises(UnreadableFile, match=r"core.*binary"):
        texts(binary)
    with pytest.raises(UnreadableFile, match="bzip2"):
        texts(write(tmp_path, "old.bz2", b"BZh91AY&SY"))
    counts = ReadCounts()
    assert texts(tmp_path, counts=counts) == ["fine"]
    assert len(counts.skipped) == 2
    assert counts.empty == [str(tmp_path / "empty.log")]


def test_what_cannot_be_read_is_named_at_once(tmp_path):
    with pytest.raises(UnreadableFile, match=r"none\.log.*no such file"):
        read_lines(tmp_path / "none.log")
    with pytest.raises(UnreadableFile, match="no files"):
        read_lines(tmp_path)
    with pytest.raises(UnreadableFile, match="no files"):
        read_lines([])
    with pytest.raises(InputError, match="at least 1"):
        read_lines(tmp_path, most_characters=0)
