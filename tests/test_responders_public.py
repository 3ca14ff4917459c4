"""Which addresses a webhook may reach: the same on every Python."""

from __future__ import annotations

import ipaddress

import pytest

from tocsin.responders._public import is_public
from tocsin.responders.webhook import Webhook

_SPECIAL = """
0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 127.255.255.254
169.254.0.1 169.254.169.254 169.254.255.255 172.16.0.0 172.31.255.255 192.0.0.1 192.0.0.8 192.0.0.9
192.0.0.10 192.0.0.170 192.0.0.171 192.0.0.255 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1
192.88.99.2 192.168.0.0 192.168.255.255 192.175.48.1 198.18.0.0 198.19.255.255 198.51.100.1
203.0.113.255 224.0.0.1 232.1.2.3 239.255.255.255 240.0.0.1 254.1.1.1 255.255.255.255
:: ::1 ::8.8.8.8 ::ffff:0.0.0.0 ::ffff:10.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254
::ffff:0:8.8.8.8 64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::169.254.169.254 64:ff9b::192.88.99.1
64:ff9b:0:1::8.8.8.8 64:ff9b:1::8.8.8.8 64:ff9b:1:ffff:: 100:: 100::1 100:0:0:1:: 100:0:0:1::1
2001:: 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:1::1 2001:1::2 2001:1::3 2001:1::4 2001:2::1
2001:3::1 2001:4:112::1 2001:5::1 2001:10::1 2001:20::1 2001:2f:ffff:: 2001:30::1
2001:1ff:ffff:ffff:: 2001:db8::1 2001:db8:ffff:: 2002:: 2002:a00:1:: 2002:7f00:1:: 2002:808:808::
2002:ffff:ffff:: 2620:4f:8000::1 3ffe::1 3fff::1 3fff:fff:ffff:: 4000::1 5f00::1 5f00:ffff::
8000::1 c000::1 fc00::1 fd00::1 fdff:ffff:: fe00::1 fe80::1 febf:ffff:: fec0::1 feff:ffff::
ff00::1 ff02::1 ff0e::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
"""
_PUBLIC = """
1.0.0.1 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0
192.31.195.255 192.31.197.0 192.52.192.255 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0
192.175.49.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0
223.255.255.255 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2001:200::1 2001:4860:4860::8888 2001:db7:ffff::
2001:db9:: 2003::1 2400:cb00::1 2600::1 2606:4700:4700::1111 2620:4f:7fff:: 2620:4f:8001:: 2800::1
2a00:1450::1 2c0f:ffff::1
"""


@pytest.mark.parametrize("address", _SPECIAL.split())
def test_special_addresses_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    assert not Webhook(url="https://example.org/")._may(address)


@pytest.mark.parametrize("address", _PUBLIC.split())
def test_the_addresses_around_them_are(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("10.0.0.0/8", "10.1.2.3"),
        ("10.0.0.0/8", "::ffff:10.1.2.3"),
        ("10.0.0.0/8", "64:ff9b::10.1.2.3"),
        ("64:ff9b::/96", "64:ff9b::10.1.2.3"),
        ("2002::/16", "2002:a00:1::"),
        ("fe80::/10", "fe80::1%eth0"),
    ],
)
def test_a_network_that_is_named_may_be_reached(network: str, address: str) -> None:
    assert Webhook(url="https://example.org/", allow=(network,))._may(address)
    assert not Webhook(url="https://example.org/", allow=("11.0.0.0/8", "fd00::/8"))._may(address)
