"""Links that sign a browser in, once."""

from __future__ import annotations

from qpty.server.access.links import LoginLinks


def test_a_link_is_good_once() -> None:
    links = LoginLinks()
    token = links.create("key-1", 100.0)
    assert links.redeem(token, 101.0) == "key-1"
    assert links.redeem(token, 101.0) is None


def test_a_link_is_good_until_its_time_is_over() -> None:
    links = LoginLinks(lifetime=10)
    early, late = links.create("k", 0.0), links.create("k", 0.0)
    assert links.redeem(early, 9.99) == "k"
    assert links.redeem(late, 10.0) is None


def test_links_are_their_keys_and_cannot_be_guessed() -> None:
    links = LoginLinks()
    tokens = {links.create(f"k{i}", 0.0): f"k{i}" for i in range(50)}
    assert len(tokens) == 50
    assert all(len(token) >= 43 and token.isascii() for token in tokens)
    for token, key_id in tokens.items():
        assert links.redeem(token[:-1], 1.0) is None
        assert links.redeem(token + "A", 1.0) is None
        assert links.redeem(token, 1.0) == key_id


def test_nonsense_is_no_link() -> None:
    links = LoginLinks()
    links.create("k", 0.0)
    for text in ("", "x", "\ud800", "é" * 1000, "\0"):
        assert links.redeem(text, 1.0) is None


def test_the_oldest_gives_way() -> None:
    links = LoginLinks(limit=3)
    tokens = [links.create(f"k{i}", float(i)) for i in range(4)]
    assert len(links) == 3
    assert [links.redeem(token, 5.0) for token in tokens] == [None, "k1", "k2", "k3"]


def test_expired_ones_take_no_place() -> None:
    links = LoginLinks(lifetime=10, limit=2)
    links.create("old", 0.0)
    kept = links.create("kept", 5.0)
    links.create("new", 11.0)
    assert links.redeem(kept, 12.0) == "kept"


def test_tokens_are_not_kept() -> None:
    links = LoginLinks()
    token = links.create("k", 0.0)
    assert token not in repr(vars(links))
