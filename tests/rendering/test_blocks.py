"""Markdown means what it should, and a block is a top-level block."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qpty.rendering.blocks import render_blocks
from qpty.rendering.cutting import cuts
from qpty.rendering.limits import (
    MAX_BLOCKS,
    MAX_HIGHLIGHTED,
    MAX_HIGHLIGHTED_TOTAL,
    MAX_NESTING,
    MAX_SOURCE,
    MAX_TABLE_ROWS,
)
from tests.rendering.checking import Reader, html_of, text_of, wrong_with


def rendered(source: str) -> str:
    """Return the html without what every block has."""
    blocks = render_blocks(source)
    assert wrong_with(blocks, source) == []
    return html_of(blocks).replace(' dir="auto"', "").replace(' dir="ltr"', "")


@pytest.mark.parametrize(
    ("source", "html"),
    [
        (
            "a *b* **c** ***d*** _e_ ~~f~~",
            "<p>a <em>b</em> <strong>c</strong> <em><strong>d</strong></em> <em>e</em> <s>f</s></p>",
        ),
        ("a  \nb\\\nc\nd", "<p>a<br>b<br>c\nd</p>"),
        ("`` a ` b ``", "<p><code>a ` b</code></p>"),
        ("\\*a\\* &copy; &#35;", "<p>*a* © #</p>"),
        ("# a\n## b\n### c\n#### d\n##### e\n###### f", "<h3>a</h3><h4>b</h4><h5>c</h5><h6>d</h6><h6>e</h6><h6>f</h6>"),
        ("a\n=\nb\n-", "<h3>a</h3><h4>b</h4>"),
        ("***\n", "<hr>"),
        ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("- a\n\n- b", "<ul><li><p>a</p></li><li><p>b</p></li></ul>"),
        ("3) a\n   - b", '<ol start="3"><li>a<ul><li>b</li></ul></li></ol>'),
        ("> a\nb\n> > c", "<blockquote><p>a\nb</p><blockquote><p>c</p></blockquote></blockquote>"),
        (
            "- [ ] a\n- [x] b",
            (
                '<ul class="task-list"><li class="task"><input type="checkbox" disabled=""> a</li>'
                '<li class="task"><input type="checkbox" disabled="" checked=""> b</li></ul>'
            ),
        ),
        (
            "|a|b|c|d|\n|:-|:-:|-:|-|\n|1|`x\\|y`|",
            (
                '<div class="table-scroll"><table><thead><tr><th class="align-left">a</th>'
                '<th class="align-center">b</th><th class="align-right">c</th><th>d</th></tr></thead>'
                '<tbody><tr><td class="align-left">1</td>'
                '<td class="align-center"><code>x|y</code></td><td colspan="2"></td></tr></tbody></table></div>'
            ),
        ),
        ("a|b\n-|-\n1|2|3\n\nx", None),
        ("    a\n     b", '<pre class="code"><code>a\n b\n</code></pre>'),
        ("```\n<b>\n```", '<pre class="code"><code>&lt;b&gt;\n</code></pre>'),
        ("~~~ nonsense x\na", '<pre class="code" data-language="nonsense"><code>a</code></pre>'),
        ("```<x>\na\n```", '<pre class="code"><code>a\n</code></pre>'),
        ("[a]: https://b.c", ""),
    ],
)
def test_markdown(source: str, html: str | None) -> None:
    if html is None:
        assert rendered(source).count("<td>") == 2
    else:
        assert rendered(source) == html


def test_code_is_highlighted_by_classes() -> None:
    html = rendered('```python\ndef f():\n    """a\n    b"""\n```')
    assert '<span class="hl-k">def</span> <span class="hl-nf">f</span>' in html
    for line in html.split("\n"):
        assert line.count("<span") == line.count("</span"), "a line of code is complete in itself"
    assert "style" not in html


def test_code_is_never_changed() -> None:
    code = "\n\n  x = 1 \t\n\r\n\n"
    for language in ("python", "json", "make", "diff", "html", "none"):
        blocks = render_blocks(f"```{language}\n{code}```")
        assert text_of(blocks) == code.replace("\r\n", "\n")


def test_blocks_are_the_top_level_blocks() -> None:
    source = "\n# a\n\ntext\nmore\r\n\r\n- x\n\n  y\n- z\n\n```\ncode\n\n```\nend"
    parts = [source[block.start : block.end] for block in render_blocks(source)]
    assert parts == ["\n# a\n\n", "text\nmore\r\n\r\n", "- x\n\n  y\n- z\n\n", "```\ncode\n\n```\n", "end"]


@pytest.mark.parametrize("source", ["", "\n", " \n\t", "[a]: b\n"])
def test_a_text_without_blocks(source: str) -> None:
    assert wrong_with(render_blocks(source), source) == []
    assert html_of(render_blocks(source)) == ""


def test_a_long_table_is_parts_that_repeat_its_header() -> None:
    rows = MAX_TABLE_ROWS * 2 + 1
    source = "|n|\n|-|\n" + "".join(f"|r{n}|\n" for n in range(rows))
    blocks = render_blocks(source)
    assert wrong_with(blocks, source) == []
    assert [block.continued for block in blocks] == [False, True, True]
    for i, block in enumerate(blocks):
        assert block.html.startswith(
            '<div class="table-scroll"><table class="table-part"><thead><tr><th dir="auto">n</th></tr></thead>'
        )
        assert source[block.start :].startswith("|n|" if i == 0 else f"|r{i * MAX_TABLE_ROWS}|\n")
    assert text_of(blocks).replace("n", "").split("r") == ["", *map(str, range(rows))]


def test_long_code_is_parts() -> None:
    source = "```text\n" + "".join(f"{n}\n" for n in range(1000)) + "```\nend"
    blocks = render_blocks(source)
    assert wrong_with(blocks, source) == []
    assert [block.html.split('"')[1] for block in blocks] == [
        "code part first",
        "code part middle",
        "code part last",
        "auto",
    ]
    assert source[blocks[1].start :].startswith("400\n")
    assert text_of(blocks[:3]) == source[8:-7]


def test_a_long_list_goes_on_with_its_numbers() -> None:
    source = "".join(f"{n}. item\n" for n in range(7, 3000))
    blocks = render_blocks(source)
    assert wrong_with(blocks, source) == []
    numbers = 7
    for block in blocks:
        tag, attributes = Reader(block.html).elements[0]
        assert (tag, attributes["start"]) == ("ol", str(numbers))
        assert source[block.start :].startswith(f"{numbers}. ")
        numbers += block.html.count("<li")
    assert numbers == 3000
    assert all("list-part" in block.html for block in blocks[1:])


def test_what_is_in_a_list_is_cut_inside_it() -> None:
    source = "1. a\n2. b\n\n   ```\n" + "   line\n" * 900 + "   ```\n3. c\n"
    blocks = render_blocks(source)
    assert wrong_with(blocks, source) == []
    assert (
        '<ol class="list-part" dir="auto" start="2"><li class="continued" dir="auto"><pre class="code part'
        in blocks[1].html
    )
    assert text_of(blocks).count("line\n") == 900


@pytest.mark.parametrize(
    "source",
    [
        "word " * 20_000,
        "x" * 100_000,
        "line\n" * 20_000,
        "*a* " * 2_000,
        "- " + "word " * 20_000,
        "# " + "word " * 20_000,
        "|a|\n|-|\n|" + "word " * 20_000 + "|",
        "|" + "word " * 20_000 + "|\n|-|\n|a|",
        ">" * (MAX_NESTING + 1) + " deep",
        "- " * MAX_NESTING + "deep",
        "|" + "a|" * 100 + "\n|" + "-|" * 100,
    ],
)
def test_what_is_too_large_is_shown_as_it_is_written(source: str) -> None:
    blocks = render_blocks(source)
    assert wrong_with(blocks, source) == []
    if "|" not in source or "plain" not in html_of(blocks):
        assert text_of(blocks).split() == source.strip("-# \n").split() or text_of(blocks) == source
    else:
        assert text_of(blocks).count("word") == source.count("word")


def test_what_is_nested_as_deep_as_allowed_is_markdown() -> None:
    deep = ">" * (MAX_NESTING - 1)
    assert rendered(f"{deep} *deep*").count("<blockquote") == MAX_NESTING - 1


def test_what_comes_after_very_many_blocks_is_plain() -> None:
    source = "# a\n" * (MAX_BLOCKS + 10_000)
    blocks = render_blocks(source)
    assert wrong_with(blocks, source) == []
    assert len(blocks) < MAX_BLOCKS + 100
    assert blocks[-1].html.endswith("# a\n</p>")
    assert text_of(blocks).count("a") == MAX_BLOCKS + 10_000


def test_a_text_beyond_the_limit_is_plain() -> None:
    source = "*a*\n" * (MAX_SOURCE // 4 + 1)
    blocks = render_blocks(source)
    assert blocks[-1].end == len(source)
    assert blocks[0].html.startswith('<p class="plain" dir="auto">*a*\n*a*')


NESTING = st.lists(
    st.sampled_from(
        ["> ", ">", "- ", "1. ", "2) ", "    ", "  ", "\t", "\n", "\n\n", "```\n", "# ", "***\n", "word ", "===\n"]
    ),
    max_size=150,
)


@settings(max_examples=200, deadline=None)
@given(NESTING)
def test_no_word_is_lost_however_it_is_nested(parts: list[str]) -> None:
    source = "".join(parts).replace("```", "\n```")
    assert text_of(render_blocks(source)).count("word") == source.count("word")


@pytest.mark.parametrize(
    "source",
    ["*a*" + "b" * 9_000, "*a* " + "[" * 600, "\n".join(["*a* b"] * 2_000)],
)
def test_what_would_take_long_to_search_is_plain(source: str) -> None:
    assert html_of(render_blocks(source)).startswith('<p class="plain" dir="auto">*a*')


@pytest.mark.parametrize(
    "source",
    [
        "> " + "\n>\n> ".join(["*a* " * 1_000] * 3),
        "```\n" + "\u202e" * 20_000,
        "`" + "\u202e" * 2_000 + "`",
        "```json\n" + '{"a":1},' * 10_000,
        "|" + "*a*|" * 60 + "\n|" + "-|" * 60 + "\n" + ("|" + "*b*|" * 60 + "\n") * 50,
        "\u00a0x" * 20_000,
    ],
)
def test_no_block_is_too_large(source: str) -> None:
    assert wrong_with(render_blocks(source), source) == []


def test_code_is_highlighted_up_to_a_limit() -> None:
    line = "x = 1\n"
    blocks = render_blocks("```python\n" + line * (MAX_HIGHLIGHTED // len(line) + 1_000) + "```")
    assert "hl-" in blocks[0].html
    assert "hl-" not in blocks[-1].html
    many = render_blocks(("```python\n" + line * 5_000 + "```\n\n") * (MAX_HIGHLIGHTED_TOTAL // 30_000 + 2))
    assert "hl-" not in html_of(many[-5:])


def test_joined_characters_are_not_cut() -> None:
    family = "\U0001f468\u200d\U0001f469\ufe0f"
    for shift in range(6):
        source = "x" * shift + family * 3_000
        for start, _ in list(cuts(source, 0, len(source)))[1:]:
            assert source[start] == family[0], source[start - 2 : start + 2]
