"""What a person chose, or asked the browser for: theme, language, motion; and the keyboard's way through the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from tests.page.driving import chat_page

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.page.driving import ChatPage
    from tests.server.conftest import Serve

PAINTED = """
window.seen = [];
const now = () => document.documentElement.dataset.theme;
const painted = (list) => list.getEntries().forEach(() => seen.push(`paint ${now()}`));
new PerformanceObserver(painted).observe({ type: "paint", buffered: true });
new MutationObserver((changes) => changes.forEach(({ addedNodes, type }) => {
    if (type === "attributes") seen.push("changed");
    for (const node of addedNodes) if (node.nodeName === "BODY") seen.push(`body ${now()}`);
})).observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-theme"] });
"""

BACKGROUND = "getComputedStyle(document.body).backgroundColor"


async def theme(page: Page) -> str | None:
    """The theme that the page has."""
    return await page.locator("html").get_attribute("data-theme")


async def focused(page: Page) -> str:
    """What has the focus: its id, or its label."""
    found: str = await page.evaluate(
        "document.activeElement.id || document.activeElement.getAttribute('aria-label') ||"
        " document.activeElement.textContent.trim() || document.activeElement.tagName"
    )
    return found


@pytest.mark.parametrize("system", ["light", "dark"])
async def test_the_theme_follows_the_system_until_another_is_chosen(
    serve_demo: Serve, chromium: str, system: Any
) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        page = chat.page
        await page.emulate_media(color_scheme=system)
        await page.add_init_script(PAINTED)
        await chat.visit()
        button = page.locator("#theme")
        colours = {}
        for label, name in (("as the system", None), ("light", "light"), ("dark", "dark"), ("as the system", None)):
            await expect(button).to_have_attribute("aria-label", f"Colours: {label}")
            assert await theme(page) == name
            colours[name] = await page.evaluate(BACKGROUND)
            await page.reload()
            await expect(button).to_have_attribute("aria-label", f"Colours: {label}")
            assert await theme(page) == name
            assert await page.evaluate(BACKGROUND) == colours[name]
            await page.wait_for_function("seen.some((what) => what.startsWith('paint'))")
            seen = await page.evaluate("seen")
            told = "undefined" if name is None else name
            body = seen.index(f"body {told}")
            assert "changed" not in seen[body:], "it was another one at first"
            assert {what for what in seen if what.startswith("paint")} == {f"paint {told}"}
            await button.click()
        assert colours["light"] != colours["dark"]
        assert colours[None] == colours[system]


async def test_a_theme_that_is_none_is_the_systems(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.page.evaluate("localStorage.setItem('qpty.theme', '\"><script>')")
        await chat.page.evaluate("localStorage.setItem('qpty.language', 'tlh')")
        await chat.page.reload()
        await expect(chat.page.locator("#theme")).to_have_attribute("aria-label", "Colours: as the system")
        assert await theme(chat.page) is None
        await expect(chat.page.locator("html")).to_have_attribute("lang", "en")


@pytest.mark.parametrize(
    ("languages", "lang"),
    [
        (["zh-CN", "en"], "zh-Hans"),
        (["en-GB"], "en"),
        (["de", "zh-TW", "en"], "zh-Hans"),
        (["de-DE", "fr"], "en"),
        ([], "en"),
    ],
)
async def test_the_language_is_the_first_of_the_browsers_that_the_page_has(
    serve_demo: Serve, chromium: str, languages: list[str], lang: str
) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        await speaks(chat, languages)
        await chat.visit()
        await expect(chat.page.locator("html")).to_have_attribute("lang", lang)
        await expect(chat.page.locator("#composer-text")).to_have_attribute(
            "placeholder", "输入消息" if lang == "zh-Hans" else "Write a message"
        )


async def speaks(chat: ChatPage, languages: list[str]) -> None:
    """Have the browser say that these are its languages."""
    await chat.page.add_init_script(
        f"Object.defineProperty(navigator, 'languages', {{get: () => Object.freeze({languages!r})}})"
    )


async def test_a_chat_in_chinese(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        await speaks(chat, ["zh-CN", "zh"])
        page = chat.page
        await chat.visit()
        await expect(page.get_by_role("heading", name="今天要做什么？")).to_be_visible()
        field = page.get_by_role("textbox", name="输入消息")
        await field.fill("bash echo 你好")
        await page.get_by_role("button", name="发送").click()
        await expect(page.get_by_role("heading", name="允许运行 execute_bash 吗？")).to_be_visible()
        await expect(chat.state).to_have_text("请求许可")
        await page.get_by_role("button", name="允许", exact=True).click()
        await expect(chat.turns.first).to_have_attribute("data-status", "completed")
        await expect(chat.turns.first).to_contain_text("已允许。")
        await expect(chat.state).to_have_text("就绪")
        await field.fill("denied")
        await field.press("Enter")
        await expect(chat.turns.last.locator(".failure")).to_contain_text("账户没有使用权限。")
        english = r"/\b(?:[Tt]he|[Yy]ou|[Ss]end|[Cc]opy|[Ss]how|[Nn]ew|[Ss]ession)\b/"
        left = await page.evaluate(
            f"""[...document.querySelectorAll("#layout *:not(.message-text, .segment *, .failure-told, .tool *)")]
                .flatMap((element) => [element.getAttribute("aria-label"), element.title, element.placeholder,
                    ...[...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data)])
                .filter((words) => words && {english}.test(words))"""
        )
        assert left == []


async def test_a_notice_of_no_turn_is_in_the_persons_language(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        await speaks(chat, ["zh-CN"])
        session = await served.session()
        journal = (await served.loaded(session)).journal
        journal.append({"type": "notice", "code": "keyboard_returned", "text": "The keyboard was given back."})
        await chat.visit(f"/sessions/{session}")
        await expect(chat.page.locator(".remark")).to_have_text("终端键盘已交还。")


async def test_the_language_is_switched_and_stays(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        page = chat.page
        await chat.visit()
        await expect(page.locator("html")).to_have_attribute("lang", "en")
        await chat.field.fill("a draft")
        await page.get_by_role("button", name="中文").click()
        await expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
        await expect(page.locator("#composer-text")).to_have_value("a draft")
        await page.reload()
        await expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
        await page.get_by_role("button", name="English").click()
        await expect(page.locator("html")).to_have_attribute("lang", "en")


async def test_nothing_moves_for_who_asked_for_less_motion(serve_demo: Serve, chromium: str) -> None:
    running = """() => document.getAnimations({subtree: true}).filter((a) => {
        const { duration, iterations } = a.effect.getComputedTiming();
        return duration > 20 && iterations > 0;
    }).map((a) => a.animationName ?? a.transitionProperty)"""
    async with serve_demo() as served, chat_page(chromium, served.url, width=390, height=844) as chat:
        for motion, moves in (("no-preference", True), ("reduce", False)):
            await chat.page.emulate_media(reduced_motion=motion)  # type: ignore[arg-type]
            await chat.visit()
            await chat.say("slow 20")
            await expect(chat.turns.last.locator(".answer")).to_contain_text("part 1")
            found = await chat.page.evaluate(running)
            await chat.button("Show sessions").click()
            found += await chat.page.evaluate(running)
            assert bool(found) == moves, found
            await chat.button("Hide sessions").click()
            await chat.button("Stop (Esc)").click()
            await expect(chat.turns.last).to_have_attribute("data-status", "completed")


@pytest.mark.parametrize("leave", ["Escape", "button", "scrim"])
async def test_the_drawer_of_sessions_by_keyboard(serve_demo: Serve, chromium: str, leave: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url, width=390, height=844) as chat:
        page = chat.page
        session = await served.session(title="a session")
        await chat.visit(f"/sessions/{session}")
        opens = page.locator("#sidebar-open")
        await expect(opens).to_have_attribute("aria-expanded", "false")
        await expect(page.locator("#sidebar")).not_to_be_in_viewport()
        await opens.focus()
        await page.keyboard.press("Enter")
        await expect(opens).to_have_attribute("aria-expanded", "true")
        await expect(page.locator("#sidebar-close")).to_be_focused()
        inside = "document.querySelector('#sidebar').contains(document.activeElement)"
        for _ in range(12):
            await page.keyboard.press("Tab")
            assert await page.evaluate(f"{inside} || document.activeElement === document.body"), await focused(page)
        match leave:
            case "Escape":
                await page.keyboard.press("Escape")
            case "button":
                await page.locator("#sidebar-close").focus()
                await page.keyboard.press("Enter")
            case _:
                await page.mouse.click(380, 400)
        await expect(opens).to_have_attribute("aria-expanded", "false")
        await expect(opens).to_be_focused()
        await expect(page.locator("#scrim")).to_be_hidden()
        await page.keyboard.press("Tab")
        assert not await page.evaluate(inside)


async def test_escape_in_the_drawer_doesnt_stop_the_turn(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url, width=390, height=844) as chat:
        await chat.visit()
        await chat.say("slow 3")
        await expect(chat.turns.last.locator(".answer")).to_contain_text("part 1")
        await chat.button("Show sessions").click()
        await expect(chat.page.locator("#sidebar-close")).to_be_focused()
        await chat.page.keyboard.press("Escape")
        await expect(chat.button("Show sessions")).to_be_focused()
        await chat.answered("slow 3", "part 3")


async def test_a_session_chosen_in_the_drawer_closes_it(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url, width=390, height=844) as chat:
        session = await served.session(title="a session")
        await chat.visit()
        await chat.button("Show sessions").click()
        await chat.page.get_by_role("link", name="a session").click()
        await expect(chat.page.locator("#sidebar-open")).to_have_attribute("aria-expanded", "false")
        await expect(chat.field).to_be_focused()
        assert chat.session_id == session


async def test_tab_goes_from_the_top_to_the_composer(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        page = chat.page
        await chat.visit()
        await chat.say("echo one")
        await chat.answered("echo one", "one")
        await page.evaluate("document.body.tabIndex = -1; document.body.focus()")
        await page.evaluate("document.body.removeAttribute('tabindex')")
        await page.keyboard.press("Tab")
        assert await focused(page) == "skip"
        await expect(page.locator(".skip")).to_be_in_viewport()
        order = []
        for _ in range(40):
            await page.keyboard.press("Tab")
            order.append(await focused(page))
            if order[-1] == "composer-text":
                break
        wanted = [
            "qpty", "theme", "language", "show-files", "show-terminal", "scroller", "Copy message",
            "Copy answer as markdown", "Attach files", "composer-text",
        ]  # fmt: skip
        assert [name for name in order if name in wanted] == wanted, order
        assert len(order) == len(set(order)), order
        await page.keyboard.press("Shift+Tab")
        assert await focused(page) == order[-2]


async def test_the_first_link_skips_to_the_message_field(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.page.locator(".skip").focus()
        await chat.page.keyboard.press("Enter")
        await expect(chat.field).to_be_focused()
        await chat.page.keyboard.type("typed")
        await expect(chat.field).to_have_value("typed")
