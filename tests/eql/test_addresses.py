"""Addresses and networks as 128-bit numbers."""

from __future__ import annotations

import pytest

from streamproc.eql.addresses import NetworkSet, parse_address, parse_network


def test_mapped_addresses_equal_their_ipv4_form():
    """::ffff:1.2.3.4 is 1.2.3.4, in both spellings."""
    assert parse_address("1.2.3.4") == parse_address("::ffff:1.2.3.4")
    assert parse_address("1.2.3.4") == parse_address("::ffff:102:304")
    assert parse_address("1.2.3.4") != parse_address("::1.2.3.4")


@pytest.mark.parametrize(
    "text", ["", "1.2.3", "1.2.3.4.5", "01.2.3.256", "fe80::1%eth0", "x", "1.2.3.4\0", "\ud800"]
)
def test_parse_address_gives_none_for_other_text(text):
    """No exception reaches the matcher."""
    assert parse_address(text) is None


@pytest.mark.parametrize(
    ("blocks", "address", "expected"),
    [
        (["10.6.48.157/8"], "10.200.1.1", True),
        (["10.6.48.157/8"], "11.0.0.0", False),
        (["10.0.0.0/8", "11.0.0.0/8"], "11.255.255.255", True),
        (["192.168.1.0/24", "10.0.0.0/8", "10.1.0.0/16"], "10.200.0.1", True),
        (["192.168.1.0/24", "10.0.0.0/8"], "192.168.2.0", False),
        (["0.0.0.0/0"], "255.255.255.255", True),
        (["0.0.0.0/0"], "2001:db8::1", False),
        (["0.0.0.0/0"], "::ffff:9.9.9.9", True),
        (["::/0"], "9.9.9.9", True),
        (["fe80::/10"], "fe80::1", True),
        (["fe80::/10"], "fec0::1", False),
        (["1.2.3.4"], "1.2.3.4", True),
        (["1.2.3.4/32"], "1.2.3.5", False),
        (["::1"], "::1", True),
        ([], "1.2.3.4", False),
    ],
)
def test_network_set_holds_its_addresses(blocks, address, expected):
    """Any network; host bits in a block do not matter."""
    assert (parse_address(address) in NetworkSet(map(parse_network, blocks))) is expected


@pytest.mark.parametrize("text", ["10.0.0.0/33", "fe80::/129", "10.0.0.0/x", "ten/8", "1.2.3.4/"])
def test_parse_network_refuses_other_text(text):
    """The message repeats the text."""
    with pytest.raises(ValueError, match=text):
        parse_network(text)
