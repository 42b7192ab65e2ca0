"""The order of the version type."""

from __future__ import annotations

from itertools import pairwise

from streamproc.eql.versions import version_key

ASCENDING = [
    "0.9",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.2",
    "1.0.0-alpha.10",
    "1.0.0-alpha.beta",
    "1.0.0-rc.1",
    "1.0.0",
    "1.2.4-SNAPSHOT",
    "1.2.4",
    "1.5.0",
    "1.11.3",
    "2",
    "10.0",
    "bad",
    "v1.0",
]


def test_versions_sort_by_number_then_prerelease_then_text():
    """Text that is no version sorts after all versions."""
    for lower, higher in pairwise(ASCENDING):
        assert version_key(lower) < version_key(higher), (lower, higher)


def test_absurdly_long_numbers_are_no_versions():
    """Python refuses to read them as numbers; they are text then."""
    assert version_key("9" * 5000) > version_key("10.0")
