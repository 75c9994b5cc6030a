"""Texts that try to run, to lead away, to load, to deceive, to be too much: by every way that texts come here."""

from __future__ import annotations

import html
import random
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from qpty.rendering.limits import MAX_BLOCK_ELEMENTS, MAX_BLOCK_HTML
from tests.page.driving import chat_page
from tests.page.hostile import LARGE, SCRIPTS
from tests.page.journals import Telling, exchange
from tests.server.served import no_faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from playwright.async_api import Page

    from tests.page.driving import ChatPage
    from tests.server.conftest import Serve
    from tests.server.served import Logged

VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
    violations.push(`${violatedDirective} ${blockedURI}`);
});
"""

FORBIDDEN = """(place) => {
    const found = [];
    const kinds = "script,iframe,frame,object,embed,meta,base,style,link,math,video,audio,template,noscript,title," +
        "textarea,select,form,svg:not(.drawing),.block input:not([type=checkbox][disabled])";
    for (const element of place.querySelectorAll(kinds)) found.push(element.outerHTML);
    for (const element of place.querySelectorAll("*")) {
        for (const { name, value } of element.attributes) {
            const bad = name.startsWith("on") || ["srcdoc", "action", "formaction"].includes(name) ||
                (["href", "src", "xlink:href"].includes(name) && !/^(https?:|mailto:|\\/)/.test(value));
            if (bad) found.push(element.outerHTML);
        }
        if (element.src && new URL(element.src).origin !== location.origin) found.push(element.outerHTML);
    }
    return found;
}"""
"""What is in a part of the page that may not be there."""

TOUCH = """(place) => {
    for (const details of place.querySelectorAll("details")) details.open = true;
    for (const element of place.querySelectorAll("*")) {
        for (const type of ["pointerover", "mouseover", "mouseenter", "mousemove", "mousedown", "mouseup", "focusin"]) {
            element.dispatchEvent(new MouseEvent(type, { bubbles: true }));
        }
        element.focus?.({ preventScroll: true });
        if (element.closest(".block") && !element.closest("a, button")) element.click();
    }
}"""
"""Hover over, focus and click whatever is there, but links and buttons."""

TEXT = "(element) => element.textContent"

MARKS_UNDONE = """(element) => {
    const copy = element.cloneNode(true);
    for (const mark of copy.querySelectorAll(".hidden-character")) {
        mark.replaceWith(String.fromCodePoint(Number.parseInt(mark.title.slice(2), 16)));
    }
    return copy.textContent;
}"""
"""An element's text, with hidden characters in the place of their marks."""

ALL_WORDS = """(turn) => {
    const attributes = [...turn.querySelectorAll("[href], [alt], [data-file], [data-language]")].map(
        ({ attributes }) => [...attributes].map(({ value }) => decodeURIComponent(value)).join(" "));
    return [turn.textContent, ...attributes].join(" ");
}"""

BLOCKS = """(place) => [...place.querySelectorAll(".block")].map((block) => {
    const copy = block.cloneNode(true);
    for (const bar of copy.querySelectorAll(".code-bar")) bar.remove();
    return [copy.innerHTML.length, copy.querySelectorAll("*").length];
})"""
"""Characters of html and number of elements, of each block as the server made it."""


@pytest.fixture(autouse=True)
def logged() -> Iterator[Logged]:
    """What the server logs; nothing of these tests may be a fault."""
    with no_faults() as found:
        yield found


def words(text: str) -> set[str]:
    """The words of a text that have to be on the page. Titles of links and what follows ``` aren't."""
    shown = re.sub(r'(?m) "title.*"\)|^```.*', ")", html.unescape(text))
    return set(re.findall(r"[A-Za-z]{3,}", shown.replace("%20", " ")))


@asynccontextmanager
async def watched(chat: ChatPage) -> AsyncIterator[list[str]]:
    """Whatever a page does that it should not: what was heard is held to be nothing at the end."""
    page, heard = chat.page, []
    await page.add_init_script(VIOLATIONS)
    page.on("dialog", lambda dialog: heard.append(f"dialog: {dialog.message}"))
    page.on("popup", lambda other: heard.append(f"popup: {other.url}"))
    page.on("download", lambda download: heard.append(f"download: {download.url}"))

    def requested(request: Any) -> None:
        local = request.url.startswith((f"{chat.url}/", chat.url.replace("http", "ws") + "/", "blob:", "data:image/"))
        if not local:
            heard.append(f"request: {request.url}")

    page.on("request", requested)
    yield heard
    assert await page.evaluate("window.ran") is None
    assert await page.evaluate("window.violations") == []
    assert heard == []


async def examine(chat: ChatPage, session: str) -> None:
    """Look for what may not be there, and touch everything; the page is the session's before and after that."""
    page = chat.page
    loads = []
    page.on("load", lambda _: loads.append(page.url))
    place = page.locator("#conversation")
    assert await place.evaluate(FORBIDDEN) == []
    await place.evaluate(TOUCH)
    await follow_links(page)
    assert await place.evaluate(FORBIDDEN) == []
    assert page.url.startswith(f"{chat.url}/sessions/{session}")
    assert loads == []
    assert len(page.context.pages) == 1


async def follow_links(page: Page) -> None:
    """Click every link that leads to a place of the page's; the others say that they lead elsewhere."""
    links = page.locator("#conversation a")
    found: list[dict[str, str]] = await links.evaluate_all(
        "(links) => links.map(({ className, href, target, rel, origin }) => ({ className, href, target, rel, origin }))"
    )
    for link in found:
        if link["className"] == "file":
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/sessions/[0-9a-f-]+/files", link["href"])
        else:
            assert link["href"].startswith(("http://", "https://", "mailto:"))
            assert (link["target"], link["rel"]) == ("_blank", "noopener noreferrer nofollow")
    await links.evaluate_all("(links) => links.filter((a) => a.className === 'file').forEach((a) => a.click())")


def tell_everything(told: Telling, text: str) -> None:
    """Say a text by every way that a turn has. Its questions stay open."""
    told.message(text, 0)
    nested = {"key": text, text: ["a", {text: text}], "number": 1}
    told.tool("tool", text, nested, purpose=text, server=text)
    told.tell("tool.output", tool_id="tool", text=f"{text}\n")
    told.tool("brief", "execute_bash", {"command": text})
    told.tell("notice", code="unheard_of", text=text)
    told.tell("menu.requested", request_id=f"{told.id} menu", title=text, options=[text, "other"], selected=0)
    calls = [{"name": text, "arguments": nested}, {"name": "fs_write", "arguments": {"path": text, "content": text}}]
    several = {"certain": False, "arguments": {"tool_calls": calls}}
    told.tell("permission.requested", request_id=f"{told.id} many", tool_id="tool", name=text, **several)
    one = {"arguments": {"command": text}, "certain": True}
    told.tell("permission.requested", request_id=f"{told.id} one", tool_id="brief", name=text, **one)


async def test_no_text_runs_or_leads_away_whatever_it_is_a_part_of(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat, watched(chat):
        session = await served.session(title=SCRIPTS[1])
        journal = (await served.loaded(session)).journal
        await chat.visit(f"/sessions/{session}")
        for text in SCRIPTS:
            tell_everything(Telling(journal, text), text)
        for text in SCRIPTS:
            Telling(journal, "fails").failed(text)
            journal.append({"type": "notice", "code": "unheard_of", "text": text})
        await journal.durable()
        turns = chat.turns
        await expect(turns).to_have_count(2 * len(SCRIPTS))
        await expect(chat.page.locator("#conversation .segment .tail:not(:empty)")).to_have_count(0)
        await expect(chat.page.locator(".tool-output[hidden]")).to_have_count(len(SCRIPTS))
        await examine(chat, session)
        for number, text in enumerate(SCRIPTS):
            turn = turns.nth(number)
            said = await turn.locator(".segment").evaluate(ALL_WORDS)
            assert words(text) <= words(said), text
            for place in (".message-text", ".tool-name >> nth=0", ".tool-output >> nth=0", ".notice > span"):
                assert (await turn.locator(place).evaluate(MARKS_UNDONE)).strip() == text.strip(), (place, text)
            menu, several, one = [await part.evaluate(MARKS_UNDONE) for part in await turn.locator(".question").all()]
            assert menu.count(text) == 2
            assert several.count(text) >= 5
            assert await turn.locator(".question >> nth=2").locator("pre").evaluate(MARKS_UNDONE) == text
            assert text in one
            facts = await turn.locator(".tool .tool-facts").first.evaluate(MARKS_UNDONE)
            assert facts.count(text) >= 4, facts  # purpose, server, an argument's value, and its name
            failure = turns.nth(len(SCRIPTS) + number).locator(".failure-told")
            assert await failure.evaluate(MARKS_UNDONE) == text
        remarks = [await remark.evaluate(MARKS_UNDONE) for remark in await chat.page.locator(".remark").all()]
        assert remarks == list(SCRIPTS)
        assert await chat.page.locator("#title").evaluate(TEXT) == SCRIPTS[1]


async def test_half_of_a_text_runs_as_little_as_all_of_it(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat, watched(chat):
        session = await served.session()
        journal = (await served.loaded(session)).journal
        frames: list[str] = []
        chat.page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))))
        await chat.visit(f"/sessions/{session}")
        sizes = random.Random(7)  # noqa: S311
        left = [(Telling(journal, text), text) for text in SCRIPTS]
        places = dict.fromkeys(range(len(left)), 0)
        while places:
            for number, at in list(places.items()):
                told, text = left[number]
                size = sizes.randint(1, 9)
                told.part(text[at : at + size])
                places[number] = at + size
                if at + size >= len(text):
                    del places[number]
            await journal.durable()
            seen = len(frames)
            await chat.page.evaluate("() => new Promise(requestAnimationFrame)")
            assert seen <= len(frames)
            assert await chat.page.locator("#conversation").evaluate(FORBIDDEN) == []
        for told, text in left:
            told.message(text)
            told.completed()
        await journal.durable()
        await expect(chat.page.locator("article.turn[data-status=completed]")).to_have_count(len(SCRIPTS))
        await expect(chat.page.locator("#conversation .segment .tail:not(:empty)")).to_have_count(0)
        assert sum('"type":"rendered"' in frame and '"complete":false' in frame for frame in frames) > len(SCRIPTS)
        await examine(chat, session)


async def test_what_was_said_before_the_journal_runs_as_little(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat, watched(chat):
        origin = await served.session()
        await exchange(served, origin, [(text, text) for text in SCRIPTS[:19]])
        _, fork = await served.ask("POST", f"/api/v1/sessions/{origin}/fork", {})
        session = fork["session_id"]
        await exchange(served, session, [(text, text) for text in SCRIPTS[19:]])
        await chat.visit(f"/sessions/{session}")
        await chat.button("Show earlier messages").click()
        await expect(chat.turns).to_have_count(len(SCRIPTS))
        await expect(chat.page.locator("#conversation .segment .tail:not(:empty)")).to_have_count(0)
        await expect(chat.page.locator(".earlier .block").first).to_be_attached()
        await examine(chat, session)
        for number, text in enumerate(SCRIPTS):
            assert await chat.turns.nth(number).locator(".message-text").evaluate(MARKS_UNDONE) == text
            assert words(text) <= words(await chat.turns.nth(number).locator(".segment").evaluate(ALL_WORDS)), text


async def test_no_title_runs(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat, watched(chat):
        sessions = [await served.session(title=text) for text in SCRIPTS]
        await chat.visit(f"/sessions/{sessions[0]}")
        await expect(chat.page.locator("#session-list a[href^='/sessions/']")).to_have_count(len(SCRIPTS))
        assert await chat.page.locator("#session-list").evaluate(FORBIDDEN) == []
        for text, session in zip(SCRIPTS, sessions, strict=True):
            await chat.page.locator(f'#session-list a[href="/sessions/{session}"]').click()
            _, told = await served.ask("GET", f"/api/v1/sessions/{session}")
            await expect(chat.page.locator("#state")).to_be_visible()
            await chat.page.wait_for_function(
                "([path]) => location.pathname === path && document.querySelector('#title').textContent",
                arg=[f"/sessions/{session}"],
            )
            assert words(told["title"]) == words(text)
            assert await chat.page.locator("#title").evaluate(MARKS_UNDONE) == told["title"]
            assert await chat.page.locator(".bar").evaluate(FORBIDDEN) == []


async def test_characters_that_nobody_sees_are_marked_where_a_person_decides(serve_demo: Serve, chromium: str) -> None:
    hidden = "echo safe \u202e\u2066# mr\u200b -rf"
    async with serve_demo() as served, chat_page(chromium, served.url) as chat, watched(chat):
        session = await served.session(title=f"title {hidden}")
        journal = (await served.loaded(session)).journal
        told = Telling(journal, hidden)
        told.message(f"Code: `{hidden}`\n\n```sh\n{hidden}\n```\n")
        told.tool("one", f"tool {hidden}", {"command": hidden, f"key {hidden}": 1}, purpose=hidden)
        told.tell("menu.requested", request_id="menu", title=hidden, options=[hidden], selected=0)
        one = {"request_id": "one", "tool_id": "one", "name": hidden, "arguments": {"command": hidden}, "certain": True}
        told.tell("permission.requested", **one)
        await journal.durable()
        await chat.visit(f"/sessions/{session}")
        await expect(chat.page.locator("pre.code .hidden-character").first).to_be_attached()
        marked = ["U+202E", "U+2066", "U+200B"]
        for place in (
            ".question >> nth=1 >> pre", ".question >> nth=1 >> h3", ".question >> nth=0 >> h3",
            ".question >> nth=0 >> .question-buttons >> button >> nth=0", "pre.code", ".block p code", ".message-text",
            ".tool-name", ".tool-brief", ".tool .fact-name:has-text('key')", "#title",
        ):  # fmt: skip
            marks = chat.page.locator(place).first.locator(".hidden-character")
            assert await marks.all_text_contents() == marked, place
        left = await chat.page.locator("#main").evaluate("(main) => main.textContent.match(/[\\u202e\\u2066\\u200b]/)")
        assert left is None


@pytest.mark.parametrize("kind", sorted(LARGE))
async def test_too_much_arrives_whole(serve_demo: Serve, chromium: str, kind: str) -> None:
    text = LARGE[kind]
    async with serve_demo() as served, chat_page(chromium, served.url) as chat, watched(chat):
        session = await served.session()
        journal = (await served.loaded(session)).journal
        await chat.visit(f"/sessions/{session}")
        await expect(chat.field).to_be_focused()
        told = Telling(journal, "much")
        told.message(text)
        told.completed()
        told = Telling(journal, "more?")
        told.message("No more.")
        told.completed()
        await journal.durable()
        turn = chat.turn("much")
        await expect(turn).to_have_attribute("data-status", "completed")
        await chat.field.press_sequentially("key")
        await expect(chat.field).to_have_value("key")
        await chat.button("Terminal").click()
        await expect(chat.page.locator("#panel")).to_be_visible()
        await expect(turn.locator(".tail")).to_be_empty(timeout=120_000)
        blocks = await turn.evaluate(BLOCKS)
        assert max(length for length, _ in blocks) <= MAX_BLOCK_HTML + 200  # attributes that the page adds
        assert max(elements for _, elements in blocks) <= MAX_BLOCK_ELEMENTS
        shown = re.sub(r"\W+", "", await turn.locator(".segment").evaluate(MARKS_UNDONE))
        asked = re.sub(r"\W+", "", re.sub(r"\(https://[^)]*\)|```\w+", "", text))
        assert shown[-200:] == asked[-200:]
        assert len(shown) >= len(asked)
        assert await chat.turn("more?").locator(".segment").evaluate(TEXT) == "No more."


async def test_too_much_of_everything_else_arrives_whole(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat, watched(chat):
        session = await served.session()
        journal = (await served.loaded(session)).journal
        await chat.visit(f"/sessions/{session}")
        for kind in ("no spaces", "html", "bidi"):
            text = LARGE[kind][: 60_000 if kind == "bidi" else None] + "end"  # each mark is an element
            told = Telling(journal, text)
            told.tool("tool", "execute_bash", {"command": text})
            told.tell("tool.output", tool_id="tool", text=text)
            told.tell("permission.requested", request_id=told.id, tool_id="tool", name="x", arguments={"command": text})
            await journal.durable()
            turn = chat.turns.last
            question = turn.locator(".question")
            command = question.locator("pre")
            more = question.get_by_role("button", name=re.compile("more character"))
            await expect(more).to_be_visible()
            while await more.is_visible():
                await more.click()
            assert await command.evaluate(MARKS_UNDONE) == text
            await expect(turn.locator(".question").get_by_role("button", name="Refuse")).to_be_enabled()
            assert len(await turn.locator(".message-text").evaluate(MARKS_UNDONE)) < 10_000
            await turn.get_by_role("button", name="Show all").click()
            assert await turn.locator(".message-text").evaluate(MARKS_UNDONE) == text
            await turn.locator("details.tool summary").click()
            more = turn.locator(".tool-body > button")
            while await more.is_visible():
                await more.click()
            assert await turn.locator(".tool-output").evaluate(MARKS_UNDONE) == text
            await chat.field.fill(kind)
            await expect(chat.field).to_have_value(kind)
