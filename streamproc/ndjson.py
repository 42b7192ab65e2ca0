"""Events out of NDJSON files: plain, gzip, zstd or standard input, in bounded memory.

Law of the file: a line is delivered as it stands, byte for byte, and nothing here decides
whether it is a good event. Only what belongs to the file and not to the record is taken off:
line ends (LF, CR LF), blank lines, and the byte order mark that some editors put first.
Line numbers are those of the (decompressed) file, counted from 1, blank lines included.

How a file is packed is told by its first bytes and never by its name, so that a misnamed file
and a compressed pipe work. A file that ends in the middle of its compressed stream delivers
every whole line before the cut, then raises.
"""

from __future__ import annotations

import gzip
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, NamedTuple, Protocol

import zstandard

from streamproc.errors import InputError

STANDARD_INPUT = "-"

BATCH_LINES_MAX = 5_000
BATCH_BYTES_MAX = 4 * 1024 * 1024  # decompressed; one longer line is a batch of its own

# The longest record that Kafka clients are usually allowed is 10 to 20 MB. A "line" beyond this
# is not NDJSON at all (a pretty-printed dump without line feeds, a binary file), and holding it
# would only end in the kernel's out-of-memory killer.
LINE_BYTES_MAX = 256 * 1024 * 1024

_CHUNK_BYTES = 1024 * 1024

# A zstd block of 4 bytes may stand for 128 KiB, and the binding returns all output of one call
# at once: this bounds a call's output to 256 MiB even for a file made to hurt.
_ZSTD_CHUNK_BYTES = 8 * 1024

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_MAGIC_BYTES = 4


class Line(NamedTuple):
    """One line that is not blank. Hot: one per event.

    Attributes:
        number: Line of the file, counted from 1.
        value: Its bytes without the line end.
    """

    number: int
    value: bytes


class NdjsonFile:
    """One file to be read once.

    Attributes:
        name: As the user named it; ``-`` is standard input.
        size_bytes: Size on disk, or None where there is none (standard input, a pipe).
        modified_ms: When it was last written, milliseconds since the epoch; 0 if unknown.
        bytes_read: How much of the file (as packed) was read so far.
    """

    def __init__(self, name: str, standard_input: BinaryIO | None = None) -> None:
        """Look at a file without opening it.

        Args:
            name: Path, or ``-``.
            standard_input: What ``-`` reads; the process's standard input unless told.

        Raises:
            InputError: It does not exist, is a folder, or may not be read.
        """
        self.name = name
        self.size_bytes: int | None = None
        self.modified_ms = 0
        self.bytes_read = 0
        self._standard_input = standard_input
        # What is not a regular file may be live (``tail -f``): its lines are not held back.
        self._is_live = True
        if name == STANDARD_INPUT:
            return
        status = _status(name)
        if stat.S_ISREG(status.st_mode):
            self.size_bytes = status.st_size
            self.modified_ms = status.st_mtime_ns // 1_000_000
            self._is_live = False

    def batches(self) -> Iterator[list[Line]]:
        """Yield the lines in order, in lists that are never empty and of bounded size.

        Raises:
            InputError: The file cannot be read to its end: truncated or damaged compression, a
                line beyond LINE_BYTES_MAX, UTF-16 text, or the disk's own error. Whole lines
                before the fault were yielded.
        """
        try:
            if self.name == STANDARD_INPUT:
                yield from self._batches(self._standard_input or sys.stdin.buffer)
            else:
                with open(self.name, "rb", buffering=0) as file:
                    yield from self._batches(file)
        except OSError as error:
            raise InputError(f"{self.name}: {error.strerror or error}") from error

    def _batches(self, file: _Readable) -> Iterator[list[Line]]:
        counted = _Counted(file, self)
        splitter = _LineSplitter(self.name)
        batch: list[Line] = []
        batch_bytes = 0
        try:
            for chunk in self._chunks(counted):
                batch_bytes += len(chunk)
                batch += splitter.feed(chunk)
                if self._is_live or batch_bytes >= BATCH_BYTES_MAX or len(batch) >= BATCH_LINES_MAX:
                    yield from _runs(batch)
                    batch, batch_bytes = [], 0
            batch += splitter.finish()
        except (InputError, OSError) as error:
            yield from _runs(batch)
            reason = f"{self.name}: {error.strerror}" if isinstance(error, OSError) else error
            raise InputError(f"{reason} after line {splitter.lines}") from error
        yield from _runs(batch)

    def _chunks(self, counted: _Counted) -> Iterator[bytes]:
        magic = counted.peek(_MAGIC_BYTES)
        if magic.startswith(_UTF16_MARKS):
            raise InputError(
                f"{self.name}: is UTF-16 text, convert it first "
                f"(iconv -f UTF-16 -t UTF-8 {self.name}); stopped"
            )
        packing, unpack = _packing(magic)
        try:
            yield from unpack(counted)
        except EOFError as error:
            raise InputError(f"{self.name}: truncated {packing} stream, ends") from error
        except (zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
            raise InputError(f"{self.name}: damaged {packing} stream ({error}), ends") from error


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes | None: ...


class _Counted:
    """The packed bytes of a file, counted as they are read; the first ones can be peeked at."""

    def __init__(self, file: _Readable, owner: NdjsonFile) -> None:
        # A buffered reader's read() waits until the whole size is there, read1() does not.
        self._read: Callable[[int], bytes | None] = getattr(file, "read1", file.read)
        self._owner = owner
        self._peeked = b""

    def peek(self, size: int) -> bytes:
        """Return the first ``size`` bytes, or fewer if there are no more, and keep them."""
        while len(self._peeked) < size:
            more = self._read(_CHUNK_BYTES)
            if not more:
                break
            self._peeked += more
        return self._peeked[:size]

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes as soon as there are any; b"" at the end."""
        size = size if size > 0 else _CHUNK_BYTES
        if self._peeked:
            chunk, self._peeked = self._peeked[:size], self._peeked[size:]
        else:
            chunk = self._read(size) or b""
        self._owner.bytes_read += len(chunk)
        return chunk


class _LineSplitter:
    """Cuts chunks of text into lines, without copying a long line more than once.

    ``lines`` is the number of line ends seen.
    """

    def __init__(self, name: str) -> None:
        self.lines = 0
        self._name = name
        self._parts: list[bytes] = []  # the line that has no end yet
        self._parts_bytes = 0
        self._is_first = True

    def feed(self, chunk: bytes) -> list[Line]:
        """Return the lines that end in this chunk."""
        last_end = chunk.rfind(b"\n")
        if last_end < 0:
            self._keep(chunk)
            return []
        self._parts.append(chunk[:last_end])
        text = self._take()
        self._keep(chunk[last_end + 1 :])
        return self._split(text)

    def finish(self) -> list[Line]:
        """Return the last line if it has no line end."""
        return self._split(self._take()) if self._parts else []

    def _keep(self, part: bytes) -> None:
        if not part:
            return
        self._parts.append(part)
        self._parts_bytes += len(part)
        if self._parts_bytes > LINE_BYTES_MAX:
            raise InputError(
                f"{self._name}: a line is longer than {LINE_BYTES_MAX // 2**20} MiB "
                f"(is it NDJSON, one JSON object a line?); stopped"
            )

    def _take(self) -> bytes:
        text = b"".join(self._parts)
        self._parts.clear()
        self._parts_bytes = 0
        if self._is_first:
            self._is_first = False
            text = text.removeprefix(_UTF8_MARK)
        return text

    def _split(self, text: bytes) -> list[Line]:
        first = self.lines + 1
        values = text.split(b"\n")
        self.lines += len(values)
        return [
            Line(number, value[:-1] if value.endswith(b"\r") else value)
            for number, value in enumerate(values, first)
            if value and not value.isspace()
        ]


def open_files(names: Sequence[str], standard_input: BinaryIO | None = None) -> list[NdjsonFile]:
    """Look at all files before the first is read.

    Raises:
        InputError: One of them cannot be read, or standard input is named twice.
    """
    if list(names).count(STANDARD_INPUT) > 1:
        raise InputError("standard input (-) can be read only once")
    return [NdjsonFile(name, standard_input) for name in names]


def _status(name: str) -> os.stat_result:
    try:
        status = os.stat(name)
    except OSError as error:
        raise InputError(f"{name}: {error.strerror or error}") from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{name}: is a folder; name the files in it, such as {name}/*.ndjson")
    if not os.access(name, os.R_OK):
        raise InputError(f"{name}: may not be read by this user")
    return status


def _packing(magic: bytes) -> tuple[str, Callable[[_Counted], Iterator[bytes]]]:
    """Return the packing's name and what undoes it."""
    if magic.startswith(_GZIP_MAGIC):
        return "gzip", _unpack_gzip
    # Parallel compressors put a skippable frame first: its magic ends alike and begins 0x50-0x5f.
    is_skippable = magic[1:] == b"\x2a\x4d\x18" and 0x50 <= magic[0] <= 0x5F
    if magic == _ZSTD_MAGIC or is_skippable:
        return "zstd", _unpack_zstd
    return "plain", _read_plain


def _read_plain(counted: _Counted) -> Iterator[bytes]:
    while chunk := counted.read(_CHUNK_BYTES):
        yield chunk


def _unpack_gzip(counted: _Counted) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=counted, mode="rb") as unpacked:  # type: ignore[call-overload]
        # read1: what was unpacked before a cut is returned, read() would lose it.
        while chunk := unpacked.read1(_CHUNK_BYTES):
            yield chunk


def _unpack_zstd(counted: _Counted) -> Iterator[bytes]:
    # Not stream_reader(): it takes the end of a truncated file for the end of the stream.
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    is_inside_frame = False
    while packed := counted.read(_ZSTD_CHUNK_BYTES):
        while packed:
            is_inside_frame = True
            if chunk := unpacker.decompress(packed):
                yield chunk
            packed = b""
            if unpacker.eof:
                packed = unpacker.unused_data
                unpacker = zstandard.ZstdDecompressor().decompressobj()
                is_inside_frame = False
    if is_inside_frame:
        raise EOFError


def _runs(lines: list[Line]) -> Iterator[list[Line]]:
    """Cut lines into runs of at most BATCH_LINES_MAX and about BATCH_BYTES_MAX."""
    run: list[Line] = []
    run_bytes = 0
    for line in lines:
        run.append(line)
        run_bytes += len(line.value)
        if len(run) >= BATCH_LINES_MAX or run_bytes >= BATCH_BYTES_MAX:
            yield run
            run, run_bytes = [], 0
    if run:
        yield run
