"""Which names are answered and which pages may call: tables of nasty cases, and properties."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.server.access.origin import (
    HostRefusedError,
    OriginRefusedError,
    check_host,
    check_origin,
    parse_authority,
    parse_origin,
)

ALWAYS = [
    "127.0.0.1", "127.0.0.1:8080", "0.0.0.0:1", "192.168.1.7:65535", "[::1]", "[::1]:8080", "[2001:DB8::1]:80",
    "[::ffff:127.0.0.1]", "localhost", "localhost:8080", "LOCALHOST:80", "app.localhost", "a.b.localhost:3000",
]  # fmt: skip

NEVER = [
    None, "", " ", "evil.com", "127.0.0.1.evil.com", "localhost.evil.com", "evil-localhost", "xlocalhost",
    ".localhost", "a..localhost", "-.localhost", "localhost.", "app.localhost.", "127.0.0.1.", "0x7f.1", "2130706433",
    "127.1", "127.0.0.01", "0177.0.0.1", "127.0.0.256", "１２７.0.0.1", "127。0。0。1", "localhoſt", "lоcalhost",
    "[::1]evil", "[::1].evil.com", "evil[::1]", "[::1", "::1", "::1]:80", "[]", "[::1%25lo]", "[fe80::1%eth0]",
    "[127.0.0.1]", "[v1.a]", "[::1]:", "127.0.0.1:", "localhost:0", "localhost:00080", "localhost:080",
    "localhost:65536", "localhost:99999", "localhost:-1", "localhost:+80", "localhost:8o", "localhost:８０",
    "localhost:80:80", "user@localhost", "localhost@evil.com", "user:pw@127.0.0.1", "localhost/", "localhost/x",
    "localhost?x", "localhost#x", "localhost\\", "http://localhost", "localhost,evil.com", "localhost evil.com",
    "localhost\r\nX: y", "localhost\n", "localhost\t", " localhost", "localhost\x00", "%6cocalhost", "*", "*.localhost",
    "a" * 64 + ".localhost", ("a" * 60 + ".") * 5 + "localhost", "é.localhost",
    "\N{KELVIN SIGN}.localhost",
]  # fmt: skip


@pytest.mark.parametrize("host", ALWAYS)
def test_addresses_and_localhost_are_always_answered(host: str) -> None:
    check_host(host, allowed=())


@pytest.mark.parametrize("host", NEVER)
def test_other_names_and_nonsense_are_not(host: str | None) -> None:
    with pytest.raises(HostRefusedError) as caught:
        check_host(host, allowed=("good.example",))
    assert caught.value.host == host
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("host", "entry", "answered"),
    [
        ("good.example", "good.example", True), ("GOOD.Example:8080", "good.example", True),
        ("good.example", "Good.EXAMPLE", True), ("good.example:81", "good.example:81", True),
        ("good.example:82", "good.example:81", False), ("good.example", "good.example:81", False),
        ("sub.good.example", "good.example", False), ("good.example.", "good.example", False),
        ("good.example.evil.com", "good.example", False), ("any.thing:5", "*", True), ("any thing", "*", False),
        ("localhost.evil.com", "localhost", False), ("a_b.example", "a_b.example", True),
    ],
)  # fmt: skip
def test_allowed_names_are_answered(host: str, entry: str, answered: bool) -> None:
    with contextlib.nullcontext() if answered else pytest.raises(HostRefusedError):
        check_host(host, allowed=("other.example", entry))


HOME = "localhost:8080"


def called(
    origin: str | None,
    site: str | None = None,
    *,
    host: str = HOME,
    method: str = "POST",
    navigation: bool = False,
    allowed: tuple[str, ...] = (),
) -> bool | None:
    """Whether an allowed foreign page calls; None when it was refused."""
    try:
        return check_origin(origin, site, host=host, method=method, navigation=navigation, allowed=allowed)
    except OriginRefusedError:
        return None


@pytest.mark.parametrize(
    ("site", "method", "navigation", "passes"),
    [
        (None, "POST", False, True), (None, "GET", False, True), ("same-origin", "POST", False, True),
        ("none", "GET", True, True), ("none", "POST", False, True),
        ("cross-site", "GET", True, True), ("same-site", "GET", True, True),
        ("cross-site", "GET", False, False), ("same-site", "GET", False, False), ("cross-site", "POST", True, False),
        ("same-site", "DELETE", True, False), ("cross-site", "HEAD", True, False), ("", "GET", False, False),
        ("Same-Origin", "POST", False, False), ("something-new", "GET", False, False),
    ],
)  # fmt: skip
def test_without_an_origin_the_browsers_word_decides(
    site: str | None, method: str, navigation: bool, passes: bool
) -> None:
    assert called(None, site, method=method, navigation=navigation) is (False if passes else None)


@pytest.mark.parametrize(
    ("origin", "host", "passes"),
    [
        ("http://localhost:8080", "localhost:8080", True), ("HTTP://LOCALHOST:8080", "localhost:8080", True),
        ("http://localhost", "localhost", True), ("http://localhost", "localhost:80", True),
        ("http://localhost:80", "localhost", True), ("https://good.example", "good.example", True),
        ("https://good.example", "good.example:443", True), ("https://good.example:8443", "good.example:8443", True),
        ("http://[::1]:8080", "[::1]:8080", True), ("http://[0:0:0:0:0:0:0:1]:8080", "[::1]:8080", True),
        ("http://localhost", "localhost:8080", False), ("http://localhost:8081", "localhost:8080", False),
        ("https://good.example", "good.example:80", False), ("http://good.example", "good.example:443", False),
        ("http://127.0.0.1:8080", "localhost:8080", False), ("http://localhost:8080", "127.0.0.1:8080", False),
        ("http://a.localhost:8080", "localhost:8080", False),
    ],
)  # fmt: skip
def test_a_page_of_ours_may_call(origin: str, host: str, passes: bool) -> None:
    assert called(origin, host=host) is (False if passes else None)


@pytest.mark.parametrize(
    "origin",
    [
        "null", "", " ", "localhost:8080", "//localhost:8080", "http:localhost:8080", "http:/localhost:8080",
        "http:///localhost:8080", "ws://localhost:8080", "file://", "file://localhost:8080", "about:blank",
        "data:text/html,x", "chrome-extension://abcdef", "javascript://localhost:8080", "http://localhost:8080/",
        "http://localhost:8080/x", "http://localhost:8080?x", "http://localhost:8080#x", "http://u@localhost:8080",
        "http://localhost:8080@evil.com", "http://evil.com@localhost:8080", "http://localhost:8080.evil.com",
        "http://127.0.0.1.evil.com", "http://localhost.evil.com", "http://localhost.:8080", "http://localhost:08080",
        "http://localhost:0", "http://localhost:99999", "http://0x7f.1:8080", "http://[::1]evil",
        "http://localhost:8080\r\nX: y", "http://localhost:8080\n", "http://localhost:8080, http://evil.com",
        "http://localhost:8080 http://evil.com", "http://lоcalhost:8080", "http://LOCALHOſT:8080",
        "http://", "://", "*",
    ],
)  # fmt: skip
def test_garbage_and_foreign_pages_may_not_call(origin: str) -> None:
    assert called(origin) is None
    assert called(origin, "same-origin") is None
    assert called(origin, "cross-site", method="GET", navigation=True, allowed=("https://good.example",)) is None


def test_a_refusal_says_what_was_refused() -> None:
    with pytest.raises(OriginRefusedError, match="QPTY_ALLOWED_ORIGINS") as caught:
        check_origin("http://x\r\n\x1b", "cross-site", host=HOME, method="GET", navigation=True, allowed=())
    assert (caught.value.origin, caught.value.fetch_site) == ("http://x\r\n\x1b", "cross-site")
    assert str(caught.value).isprintable()


def test_an_allowed_foreign_page_may_call_and_is_told_apart() -> None:
    allowed = ("https://good.example", "http://tool.example:3000")
    assert called("https://good.example", "cross-site", allowed=allowed) is True
    assert called("HTTPS://Good.Example:443", "cross-site", allowed=allowed) is True
    assert called("http://tool.example:3000", "same-site", allowed=allowed) is True
    assert called("http://good.example", "cross-site", allowed=allowed) is None
    assert called("https://good.example:8443", "cross-site", allowed=allowed) is None
    assert called("https://sub.good.example", "cross-site", allowed=allowed) is None


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_the_browser_is_believed_when_it_says_that_the_origins_differ(site: str) -> None:
    """A page at http://good.example is another origin than https://good.example, though Host names no scheme."""
    assert called("http://good.example", host="good.example") is False
    assert called("http://good.example", site, host="good.example") is None


labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
names = st.lists(labels, min_size=1, max_size=4).map(".".join)
hosts = st.one_of(names, st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map("[{}]".format))
ports = st.integers(1, 65535)
schemes = st.sampled_from(["http", "https"])


@given(schemes, hosts, ports)
def test_an_origin_equal_to_the_host_passes_and_no_other_port_or_name_does(scheme: str, host: str, port: int) -> None:
    authority = f"{host}:{port}"
    assert called(f"{scheme}://{authority}", host=authority) is False
    assert called(f"{scheme.upper()}://{authority.upper()}", host=authority) is False
    assert called(f"{scheme}://{host}:{port % 65535 + 1}", host=authority) is None
    assert called(f"{scheme}://x{authority}", host=authority) is None
    assert called(f"{scheme}://{authority}", host=authority, allowed=(f"{scheme}://{authority}",)) is False


@given(schemes, hosts)
def test_default_ports_may_be_left_out_on_either_side(scheme: str, host: str) -> None:
    port = {"http": 80, "https": 443}[scheme]
    for origin in (f"{scheme}://{host}", f"{scheme}://{host}:{port}"):
        for header in (host, f"{host}:{port}"):
            assert called(origin, host=header) is False


@given(st.text(max_size=60))
def test_any_text_is_refused_or_understood(text: str) -> None:
    with contextlib.suppress(HostRefusedError):
        check_host(text, allowed=("*",))
        assert parse_authority(text) is not None
    called(text, host=HOME)
    called(f"http://{text}", host=HOME)
    called("http://localhost:8080", text, host=HOME)
    called("http://localhost:8080", host=text)
    if text != HOME:
        assert called(f"http://{text}", host=HOME) is None or text.lower() == HOME


@given(hosts, st.none() | ports)
def test_what_is_read_is_written_back(host: str, port: int | None) -> None:
    text = host if port is None else f"{host}:{port}"
    read = parse_authority(text)
    assert read is not None
    assert read.port == port
    shown = f"[{read.host}]" if ":" in read.host else read.host
    assert parse_authority(shown) is not None
    assert parse_origin(f"http://{text}") == parse_origin(f"http://{shown}:{port or 80}")
