"""Result lines on their way to files or standard output: whole lines, whatever happens.

Law of the file: after a write, and after an end of any kind, a file holds whole lines only.
"""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, BinaryIO, Self

import orjson

from streamproc.errors import InputError
from streamproc.model import Output

STANDARD_OUTPUT = "-"

_NUMBERS = frozenset({"partition", "offset", "size"})  # headers of a dead letter that count


class NdjsonOutput:
    """One output of result lines; use as a context manager.

    Attributes:
        is_terminal: Whether lines appear on somebody's screen.
        lines: How many were written.
    """

    def __init__(self, name: str) -> None:
        """Open (and empty) the file, or standard output for ``-``.

        Raises:
            InputError: It cannot be written.
        """
        self.name = name
        self.lines = 0
        self._whole_bytes = 0
        self._is_own = name != STANDARD_OUTPUT
        try:
            self._file: BinaryIO = open(name, "wb") if self._is_own else sys.stdout.buffer  # noqa: SIM115
        except OSError as error:
            raise InputError(f"{name}: {error.strerror or error}") from error
        self.is_terminal = self._file.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self._is_own:
            return
        with suppress(OSError):  # the error that matters is the one of the write
            self._file.close()
        if kind is not None:
            self._cut_half_line()

    def write(self, lines: Iterable[bytes]) -> None:
        """Write lines, each without its line end, and hand them to the operating system.

        Raises:
            InputError: The disk is full or the like.
            BrokenPipeError: The reader of standard output went away.
        """
        lines = list(lines)
        if not lines:
            return
        text = b"\n".join(lines) + b"\n"
        try:
            self._write_whole(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise InputError(f"{self.name}: {error.strerror or error}") from error
        self._whole_bytes += len(text)
        self.lines += len(lines)

    def _write_whole(self, text: bytes) -> None:
        # With PYTHONUNBUFFERED, as many containers have it, standard output is the bare file: a
        # write to a pipe may then take a part, and nobody but its caller writes the rest.
        rest = memoryview(text)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._file.flush()

    def _cut_half_line(self) -> None:
        # A full disk or Ctrl-C can end a write in the middle of a line.
        with suppress(OSError):
            if os.path.isfile(self.name) and os.path.getsize(self.name) > self._whole_bytes:
                os.truncate(self.name, self._whole_bytes)


def dead_letter_line(letter: Output) -> bytes:
    """Return a dead letter as one JSON object: what its headers say, and the record's value.

    ``value`` is text where the record is UTF-8, else base64; ``value_encoding`` says which.
    """
    document: dict[str, Any] = {}
    for name, content in letter.headers:
        word = content.decode("utf-8", "replace")
        document[name] = int(word) if name in _NUMBERS else word
    try:
        document["value"] = letter.value.decode()
        document["value_encoding"] = "utf-8"
    except UnicodeDecodeError:
        document["value"] = base64.b64encode(letter.value).decode()
        document["value_encoding"] = "base64"
    return orjson.dumps(document)
