"""What an attacker would write: nothing of it becomes an element, an attribute or an address that isn't ours."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qpty.rendering.blocks import render_blocks
from qpty.rendering.sanitising import sanitised
from tests.rendering.checking import Reader, html_of, text_of, wrong_with

MARKUP = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<p style='background:url(//evil)'>x",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php echo 1 ?>",
    "</code></pre><script>alert(1)</script>",
    "<form action=//evil><input name=x><button>",
    "<base href=//evil>",
    "<meta http-equiv=refresh content='0;url=//evil'>",
    "<link rel=stylesheet href=//evil>",
    "<object data=//evil><embed src=//evil>",
    "<details open ontoggle=alert(1)>",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;img src=x onerror=alert(1)&#62;",
    "<template><script>alert(1)</script></template>",
    "<\x00script>alert(1)</script>",
    "<a\u2028href=javascript:alert(1)>",
]
PLACES = [
    "{}",
    "a {} b",
    "**{}**",
    "# {}",
    "> {}",
    "- {}",
    "- [ ] {}",
    "`{}`",
    "```\n{}\n```",
    "```{}\nx\n```",
    "    {}",
    "|a|{}|\n|-|-|\n|{}|b|",
    "[{}](https://a.b)",
    "[a](https://a.b '{}')",
    "[a](<https://a.b/{}>)",
    "![{}](a.png)",
    "![{}](https://a.b/c.png)",
    "![a](<{}>)",
    "[a]\n\n[a]: https://a.b '{}'",
]


@pytest.mark.parametrize("place", PLACES)
def test_html_stays_text(place: str) -> None:
    for markup in MARKUP:
        source = place.replace("{}", markup)
        assert wrong_with(render_blocks(source), source) == [], source


def test_html_is_shown() -> None:
    assert text_of(render_blocks("a <b>bold</b> word")) == "a <b>bold</b> word"


REFUSED = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java&#115;cript:alert(1)",
    "javascript&colon;alert(1)",
    "&#x6A;avascript:alert(1)",
    "java%0ascript:alert(1)",
    "%6aavascript:alert(1)",
    "\x01javascript:alert(1)",
    "vbscript:x",
    "data:text/html,x",
    "data:image/png;base64,AAAA",
    "data:image/svg+xml,x",
    "file:///etc/passwd",
    "ftp://a.b/c",
    "blob:x",
    "about:blank",
    "view-source:x",
    "tel:1",
    "//evil.org/x",
    "/etc/passwd",
    "\\\\evil\\x",
    "..",
    "../x",
    "a/../../x",
    "a/%2e%2e/x",
    "%2e%2e/x",
    "%2Fetc/passwd",
    "a%5c..%5cb",
    "a%00b",
    "a//b",
    "a/./b",
    "x?y=1",
    "#top",
    "https:",
    "https://",
    "http:///x",
    "https://" + "a" * 3000,
    "a%E2%80%AEgnp.exe",
]


@pytest.mark.parametrize("address", REFUSED)
def test_a_refused_address_is_text(address: str) -> None:
    for source in (f"[x](<{address}>)", f"![x](<{address}>)", f"<{address}>", f"[x]\n\n[x]: <{address}>", address):
        blocks = render_blocks(source)
        assert wrong_with(blocks, source) == []
        assert "<a " not in html_of(blocks)
        assert "<img" not in html_of(blocks)


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("[x](https://a.b/c?d=1&e=2)", '<a href="https://a.b/c?d=1&amp;e=2" REMOTE>x</a>'),
        ("<https://a.b>", '<a href="https://a.b" REMOTE>https://a.b</a>'),
        ("see https://a.b/c_d_e.", 'see <a href="https://a.b/c_d_e" REMOTE>https://a.b/c_d_e</a>.'),
        ("(x@a.org)", '(<a href="mailto:x@a.org" REMOTE>x@a.org</a>)'),
        ("[x][y]\n\n[Y]: http://a.b", '<a href="http://a.b" REMOTE>x</a>'),
        ("![alt](https://a.b/c.png)", '<a href="https://a.b/c.png" REMOTE>alt</a>'),
        ("![](https://a.b/c.png)", '<a href="https://a.b/c.png" REMOTE>https://a.b/c.png</a>'),
        ("[![alt](https://a.b/c.png)](https://d.e)", '<a href="https://d.e" REMOTE>alt</a>'),
        ("![chart](out/chart.png)", '<img class="file" data-file="out/chart.png" alt="chart">'),
        ("![a *b*\nc](./x.png)", '<img class="file" data-file="x.png" alt="a b\nc">'),
        ("[report](<my report.md#end>)", '<a class="file" data-file="my report.md">report</a>'),
        ("[x](caf%C3%A9.txt)", '<a class="file" data-file="café.txt">x</a>'),
        ("run setup.py and main.rs", "run setup.py and main.rs"),
    ],
)
def test_links_images_and_files(source: str, html: str) -> None:
    remote = 'target="_blank" rel="noopener noreferrer nofollow"'
    assert html_of(render_blocks(source)) == f'<p dir="auto">{html.replace("REMOTE", remote)}</p>'


@pytest.mark.parametrize("markup", MARKUP)
def test_the_second_barrier_holds_alone(markup: str) -> None:
    assert Reader(sanitised(f"<p>{markup}</p>")).wrong == []


def test_the_second_barrier_takes_what_is_not_ours() -> None:
    html = (
        '<p style="x" id="y" class="plain evil" dir="rtl" onclick="z"><a href="javascript:x">a</a><img src="//e"></p>'
    )
    assert sanitised(html) == '<p class="plain"><a>a</a><img></p>'


def test_the_check_can_fail() -> None:
    assert Reader('<p onclick="x"><script></p>').wrong
    assert Reader('<a href="javascript:x">a</a>').wrong
    assert Reader('<img data-file="../x">').wrong
    assert Reader("<p>").wrong


FRAGMENTS = st.sampled_from(
    [
        *MARKUP,
        *(
            "[",
            "](",
            ")",
            "![",
            "<",
            ">",
            "`",
            "```",
            "```py\n",
            "~~~\n",
            "*",
            "**",
            "_",
            "~~",
            "|",
            "\n|-|-|\n",
            "|a|b|",
        ),
        *(
            "\n",
            "\n\n",
            "    ",
            "\t",
            "- ",
            "1. ",
            "> ",
            "# ",
            "---",
            "===",
            "- [x] ",
            "\\",
            "&",
            "&amp;",
            "\r\n",
            "\r",
        ),
        *("[a]: ", "https://a.b/", "x@y.org", "javascript:", "data:", "../", "out/a.png", '"', "'", "\u00a0", "\ufeff"),
        *("\u202e", "\u2066", "\u2069", "\u202c", "\u200b", "\u200d", "\U0001f469\u200d\U0001f4bb", "\ud800", "\x00"),
        *("word ", "a", "é", "漢字", "\x1b[31m", "\u2028", "def f(): pass\n"),
    ]
)
TEXTS = st.one_of(st.text(max_size=300), st.lists(FRAGMENTS, max_size=60).map("".join))


@settings(max_examples=400, deadline=None)
@given(TEXTS)
def test_any_text_is_safe_covered_and_bounded(source: str) -> None:
    assert wrong_with(render_blocks(source), source) == []


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.integers(1, 4000))
def test_any_repeated_text_is_safe_covered_and_bounded(source: str, times: int) -> None:
    source = (source * times)[:40_000]
    assert wrong_with(render_blocks(source), source) == []
