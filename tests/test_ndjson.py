"""Reading NDJSON: every line as it stands, whatever the packing, the line ends or the cut."""

import gzip
import io
import os
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc import ndjson
from streamproc.errors import InputError
from streamproc.ndjson import Line, NdjsonFile, open_files


def pack_zstd(text: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(text)


PACKINGS = {"plain": bytes, "gzip": gzip.compress, "zstd": pack_zstd}


def read(path: Path | str, standard_input: bytes | None = None) -> list[Line]:
    stream = None if standard_input is None else io.BytesIO(standard_input)
    return [line for batch in NdjsonFile(str(path), stream).batches() for line in batch]


def read_to_fault(path: Path) -> tuple[list[Line], str]:
    """Return what was delivered before the fault, and the fault."""
    lines: list[Line] = []
    try:
        for batch in NdjsonFile(str(path)).batches():
            lines += batch
    except InputError as error:
        return lines, str(error)
    return lines, "no fault"


TEXTS = {
    "nothing": (b"", []),
    "last line has no end": (b"1\n2", [(1, b"1"), (2, b"2")]),
    "dos line ends": (b"1\r\n2\r\n", [(1, b"1"), (2, b"2")]),
    "blank lines count as lines only": (b"\n \t\r\n1\n\n2\n\n", [(3, b"1"), (5, b"2")]),
    "utf-8 mark of the file is no record": (b"\xef\xbb\xbf{}\n{}", [(1, b"{}"), (2, b"{}")]),
    "a mark further down stays": (b"1\n\xef\xbb\xbf2\n", [(1, b"1"), (2, b"\xef\xbb\xbf2")]),
    "only a mark": (b"\xef\xbb\xbf\n", []),
    "outer spaces stay": (b"  {} \n", [(1, b"  {} ")]),
    "other separators are text": (b"a\x0b\x0c\xc2\x85\xe2\x80\xa8b\n", [
        (1, b"a\x0b\x0c\xc2\x85\xe2\x80\xa8b")]),
    "bytes that are not utf-8": (b"\xff\xfe\x00"[1:] + b"\n", [(1, b"\xfe\x00")]),
}  # fmt: skip


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("case", TEXTS)
def test_lines_are_delivered_as_they_stand(case: str, packing: str, tmp_path: Path):
    """Numbers are those of the file, values lose their line end and nothing else."""
    text, expected = TEXTS[case]
    path = tmp_path / "events.txt"  # the name says nothing of the packing
    path.write_bytes(PACKINGS[packing](text))

    assert read(path) == expected
    assert read("-", path.read_bytes()) == expected


@settings(max_examples=60, deadline=None)
@given(
    lines=st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=30),
    sizes=st.tuples(st.integers(1, 50), st.integers(1, 5), st.integers(1, 60)),
    packing=st.sampled_from(sorted(PACKINGS)),
)
def test_no_line_is_lost_or_changed_at_any_chunk_size(lines, sizes, packing):
    """Wherever chunks and batches end, the lines are the same as those of one whole split."""
    text = b"mark\n" + b"\n".join(lines)
    expected = [
        (number, line.removesuffix(b"\r"))
        for number, line in enumerate(text.split(b"\n"), 1)
        if line.strip(b" \t\r\n\x0b\x0c")
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ndjson, "_CHUNK_BYTES", sizes[0])
        patch.setattr(ndjson, "_ZSTD_CHUNK_BYTES", sizes[0])
        patch.setattr(ndjson, "BATCH_LINES_MAX", sizes[1])
        patch.setattr(ndjson, "BATCH_BYTES_MAX", sizes[2])

        packed = io.BytesIO(PACKINGS[packing](text))
        batches = list(NdjsonFile("-", packed).batches())

    assert [line for batch in batches for line in batch] == expected
    assert all(1 <= len(batch) <= sizes[1] for batch in batches)


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_concatenated_streams_are_one_file(packing: str, tmp_path: Path):
    """``cat a.gz b.gz`` is a valid file; so is a zstd file behind a skippable frame."""
    path = tmp_path / "events"
    text = PACKINGS[packing](b"1\n2") + PACKINGS[packing](b"3\n4\n")
    if packing == "zstd":
        text = b"\x5a\x2a\x4d\x18\x02\x00\x00\x00ab" + text
    path.write_bytes(text)

    assert read(path) == [(1, b"1"), (2, b"23"), (3, b"4")]


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_truncated_file_delivers_whole_lines_then_raises(packing: str, tmp_path: Path):
    """Every line before the cut arrives; the cut line does not; the error names the file."""
    text = b"".join(b'{"n": %d, "x": "%s"}\n' % (n, os.urandom(200).hex().encode())
                    for n in range(5_000))  # fmt: skip
    path = tmp_path / "cut.gz"
    path.write_bytes(PACKINGS[packing](text)[:-300_000])

    lines, message = read_to_fault(path)

    assert len(lines) > 1_000
    assert [line.value for line in lines] == text.splitlines()[: len(lines)]
    assert message == f"{path}: truncated {packing} stream, ends after line {len(lines)}"


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_damaged_file_names_itself_and_the_packing(packing: str, tmp_path: Path):
    """Garbage behind the magic is one clear error, not a traceback of a library."""
    path = tmp_path / "bad"
    path.write_bytes(PACKINGS[packing](b"1\n" * 1000)[:10] + b"\xff" * 500)

    lines, message = read_to_fault(path)

    assert lines == []
    assert message.startswith(f"{path}: damaged {packing} stream (")
    assert message.endswith("ends after line 0")


def test_utf16_is_told_with_the_way_out(tmp_path: Path):
    """What PowerShell's ``>`` writes is no NDJSON; the message says how to convert it."""
    path = tmp_path / "events.ndjson"
    path.write_bytes('{"a": 1}\n'.encode("utf-16"))

    lines, message = read_to_fault(path)

    assert lines == []
    assert "UTF-16" in message
    assert "iconv -f UTF-16 -t UTF-8" in message


@pytest.mark.parametrize("packing", PACKINGS)
def test_line_of_20_mb_is_one_line(packing: str, tmp_path: Path):
    """A long line is whole, and its neighbours are untouched."""
    long = b'{"x": "' + b"a" * 20_000_000 + b'"}'
    path = tmp_path / "long"
    path.write_bytes(PACKINGS[packing](b"{}\n" + long + b"\n{}\n"))

    assert read(path) == [(1, b"{}"), (2, long), (3, b"{}")]


def test_line_without_end_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A file that is one endless line stops at the bound, after the lines before it."""
    monkeypatch.setattr(ndjson, "LINE_BYTES_MAX", 3 * 1024 * 1024)
    path = tmp_path / "dump.json"
    path.write_bytes(b"{}\n" * 10 + b"x" * 5 * 1024 * 1024)

    lines, message = read_to_fault(path)

    assert len(lines) == 10
    assert message == (
        f"{path}: a line is longer than 3 MiB (is it NDJSON, one JSON object a line?); "
        "stopped after line 10"
    )


@pytest.mark.parametrize("packing", PACKINGS)
def test_progress_is_in_packed_bytes(packing: str, tmp_path: Path):
    """``bytes_read`` ends at the size on disk, so that a progress bar ends full."""
    path = tmp_path / "events"
    path.write_bytes(PACKINGS[packing](b'{"a": 1}\n' * 300_000))
    file = NdjsonFile(str(path))
    seen = [file.bytes_read for _ in file.batches()]

    assert file.size_bytes == path.stat().st_size == file.bytes_read
    assert seen == sorted(seen)
    assert file.modified_ms == path.stat().st_mtime_ns // 1_000_000


def test_live_input_is_not_held_back():
    """A line of a pipe is delivered before the next one is written."""
    receiver, sender = os.pipe()
    with open(receiver, "rb") as stream, open(sender, "wb", buffering=0) as pipe:
        batches = NdjsonFile("-", stream).batches()
        pipe.write(b'{"n": 1}\n')
        assert next(batches) == [(1, b'{"n": 1}')]
        pipe.write(b'{"n": 2}\n')
        assert next(batches) == [(2, b'{"n": 2}')]


def test_faults_are_told_before_anything_is_read(tmp_path: Path):
    """A missing file, a folder and a second standard input are errors of ``open_files``."""
    good = tmp_path / "good"
    good.write_bytes(b"{}")
    for names, message in (
        ([str(good), str(tmp_path / "none")], f"{tmp_path / 'none'}: No such file or directory"),
        ([str(tmp_path)], f"{tmp_path}: is a folder; name the files in it, such as "
                          f"{tmp_path}/*.ndjson"),
        (["-", "-"], "standard input (-) can be read only once"),
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            open_files(names)
        assert str(caught.value) == message
