"""Result lines: whole ones only, and dead letters that can be read back."""

import base64
import io
import os
import types
from pathlib import Path

import orjson
import pytest

from streamproc.cli.outputs import NdjsonOutput, dead_letter_line
from streamproc.errors import InputError
from streamproc.model import Output


def test_lines_are_on_disk_after_every_write(tmp_path: Path):
    """A reader that follows the file sees each batch at once, whole."""
    path = tmp_path / "alerts.ndjson"
    with NdjsonOutput(str(path)) as output:
        output.write([b"{}", b"[]"])
        assert path.read_bytes() == b"{}\n[]\n"
        output.write([])
        output.write([b"1"])

    assert path.read_bytes() == b"{}\n[]\n1\n"
    assert output.lines == 3


def test_half_a_line_is_cut_when_writing_is_interrupted(tmp_path: Path):
    """Whatever ends the command in the middle of a write, the file holds whole lines."""
    path = tmp_path / "alerts.ndjson"
    with pytest.raises(KeyboardInterrupt):
        write_one_and_a_half(path)

    assert path.read_bytes() == b"{}\n"


def write_one_and_a_half(path: Path) -> None:
    with NdjsonOutput(str(path)) as output:
        output.write([b"{}"])
        with path.open("ab") as other:
            other.write(b'{"half": ')
        raise KeyboardInterrupt


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no /dev/full")
def test_full_disk_names_the_file():
    """The message says which output could not be written."""
    with pytest.raises(InputError, match="/dev/full: No space left on device"):
        write_one("/dev/full")


def write_one(name: str) -> None:
    with NdjsonOutput(name) as output:
        output.write([b"{}"])


def test_output_in_a_missing_folder_is_refused(tmp_path: Path):
    """It is found before anything is read."""
    with pytest.raises(InputError, match="No such file or directory"):
        NdjsonOutput(str(tmp_path / "none" / "alerts.ndjson"))


class ShortWriter(io.BytesIO):
    """A file that takes seven bytes at a time, as a bare pipe may."""

    def write(self, text) -> int:
        return super().write(bytes(text)[:7])


def test_short_writes_are_carried_on(monkeypatch):
    """What one write did not take goes with the next."""
    short = ShortWriter()
    monkeypatch.setattr("sys.stdout", types.SimpleNamespace(buffer=short))

    NdjsonOutput("-").write([b"0123456789", b"abc"])

    assert short.getvalue() == b"0123456789\nabc\n"


@pytest.mark.parametrize(
    ("value", "encoding"),
    [(b'{"a": "\xc3\xa9"', "utf-8"), (b"", "utf-8"), (b"\xff\xfe\x00", "base64")],
)
def test_dead_letter_keeps_the_record_whole(value: bytes, encoding: str):
    """The value can be got back byte for byte, and headers become fields."""
    letter = Output(b"key", value, [("reason", b"json"), ("offset", b"41"), ("topic", b"a.ndjson")])

    document = orjson.loads(dead_letter_line(letter))

    assert document["value_encoding"] == encoding
    text = document["value"]
    assert (text.encode() if encoding == "utf-8" else base64.b64decode(text)) == value
    assert (document["reason"], document["offset"], document["topic"]) == ("json", 41, "a.ndjson")
