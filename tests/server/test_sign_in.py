"""Signing a browser in: by the page's form, by a link that works once; and out again."""

from __future__ import annotations

import asyncio
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import aiohttp

    from tests.server.conftest import Serve
    from tests.server.served import Served

KEY = "the-key-of-one"
BROWSER = {"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def answered(served: Served, method: str, path: str, **options: Any) -> tuple[aiohttp.ClientResponse, str]:
    """One request without a jar of cookies."""
    async with served.http.request(method, served.url + path, allow_redirects=False, **options) as response:
        served.http.cookie_jar.clear()
        return response, await response.text()


def cookie_of(response: aiohttp.ClientResponse) -> tuple[str, dict[str, Any]]:
    """The cookie that a browser gets, and its flags."""
    [given] = response.headers.getall("Set-Cookie")
    morsel = SimpleCookie(given)["qpty"]
    return morsel.value, {name: value for name, value in morsel.items() if value}


async def opens(served: Served, cookie: str) -> bool:
    """Whether a browser with this cookie sees its sessions."""
    response, _ = await answered(served, "GET", "/api/v1/sessions", headers={"Cookie": f"qpty={cookie}"})
    assert response.status in {200, 401}
    return response.status == 200


async def test_a_browser_without_a_key_gets_the_sign_in_page(serve_demo: Serve) -> None:
    async with serve_demo(openai_keys=KEY) as served:
        for path in ("/", "/api/v1/sessions", "/no/such/route"):
            response, page = await answered(served, "GET", path, headers=BROWSER)
            assert (response.status, response.content_type) == (401, "text/html"), path
            assert 'action="/login?next=/"' in page
            assert "form-action 'self'" in response.headers["Content-Security-Policy"]
        response, page = await answered(served, "GET", "/", headers={**BROWSER, "Cookie": "qpty=old"})
        assert (response.status, "not valid here" in page) == (401, True)
        response, _ = await answered(served, "GET", "/")
        assert response.status == 200, "what the service is, programs may know"
        response, _ = await answered(served, "POST", "/api/v1/chat", headers=BROWSER)
        assert response.content_type == "application/json"


async def test_the_form_signs_in_and_the_cookie_is_kept_from_scripts(serve_demo: Serve) -> None:
    async with serve_demo(openai_keys=KEY) as served:
        data = f"key=+{KEY}%20".encode()  # as it is pasted
        response, body = await answered(served, "POST", "/login", data=data, headers={**FORM, "Origin": served.url})
        assert (response.status, response.headers["Location"], body) == (303, "/", "")
        cookie, flags = cookie_of(response)
        assert flags == {"httponly": True, "samesite": "Lax", "path": "/", "max-age": str(30 * 86_400)}
        assert KEY not in cookie
        assert await opens(served, cookie)
        assert not await opens(served, cookie[:-1] + ("A" if cookie[-1] != "A" else "B"))
        response, page = await answered(served, "GET", "/", headers={**BROWSER, "Cookie": f"qpty={cookie}"})
        assert (response.status, "Sign in" in page) == (200, False)


async def test_a_cookie_from_a_page_behind_tls_goes_over_tls_only(serve_demo: Serve) -> None:
    async with serve_demo(openai_keys=KEY) as served:
        origin = served.url.replace("http:", "https:")
        response, _ = await answered(
            served, "POST", "/login", data=f"key={KEY}".encode(), headers={**FORM, "Origin": origin}
        )
        assert response.status == 303
        assert cookie_of(response)[1]["secure"] is True


NO_SIGN_IN: list[tuple[bytes, dict[str, str], int]] = [
    (b"key=wrong", FORM, 401),
    (b"key=", FORM, 401),
    (b"", FORM, 401),
    (b"other=x", FORM, 401),
    (b"key=%ff", FORM, 400),
    (b"key=\xff", FORM, 400),
    (b"&".join([b"a=b"] * 50), FORM, 400),
    (b"key=" + b"x" * 5000, FORM, 413),
    (f"key={KEY}".encode(), {**FORM, "Content-Type": "text/plain"}, 415),
    (f'{{"key": "{KEY}"}}'.encode(), {"Content-Type": "application/json"}, 415),
    (f"key={KEY}".encode(), {**FORM, "Sec-Fetch-Site": "cross-site"}, 403),
    (f"key={KEY}".encode(), {**FORM, "Origin": "https://evil.example"}, 403),
]


async def test_what_does_not_sign_in(serve_demo: Serve) -> None:
    async with serve_demo(openai_keys=KEY) as served:
        for data, headers, status in NO_SIGN_IN:
            response, body = await answered(served, "POST", "/login", data=data, headers=headers)
            assert response.status == status, (data[:20], body)
            assert "Set-Cookie" not in response.headers
            assert KEY not in body


async def test_a_link_signs_one_browser_in_once(serve_demo: Serve) -> None:
    async with serve_demo(openai_keys=KEY) as served:
        status, link = await served.ask("POST", "/api/v1/login-links", headers={"x-api-key": KEY})
        assert status == 201
        assert link["url"].startswith(f"{served.url}/login/")
        path = link["url"].removeprefix(served.url)
        first, second = await asyncio.gather(*(answered(served, "GET", path, headers=BROWSER) for _ in range(2)))
        assert sorted(response.status for response, _ in (first, second)) == [303, 401]
        cookie, _ = cookie_of((first if first[0].status == 303 else second)[0])
        assert await opens(served, cookie)
        response, page = await answered(served, "GET", path, headers=BROWSER)
        assert (response.status, "used up" in page) == (401, True)
        status, refused = await served.ask("GET", path)
        assert (status, refused["error"]["code"]) == (401, "key_refused")
        status, again = await served.ask("POST", "/api/v1/login-links", headers={"Cookie": f"qpty={cookie}"})
        assert status == 201
        assert again["url"] != link["url"]


async def test_a_head_does_not_use_a_link_up(serve_demo: Serve) -> None:
    """A messenger that looks at the links it carries must not sign itself in."""
    async with serve_demo(openai_keys=KEY) as served:
        _, link = await served.ask("POST", "/api/v1/login-links", headers={"x-api-key": KEY})
        path = link["url"].removeprefix(served.url)
        response, _ = await answered(served, "HEAD", path, headers={"x-api-key": KEY})
        assert (response.status, response.headers["Allow"]) == (405, "GET")
        assert "Set-Cookie" not in response.headers
        response, _ = await answered(served, "GET", path)
        assert response.status == 303


async def test_a_cookie_ends_with_its_key(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        keys = served.service.access.keys
        new = await asyncio.to_thread(keys.create, "mine")
        response, _ = await answered(served, "POST", "/login", data=f"key={new.key}".encode(), headers=FORM)
        cookie, _ = cookie_of(response)
        _, link = await served.ask("POST", "/api/v1/login-links", headers={"x-api-key": new.key})
        assert await opens(served, cookie)
        await asyncio.to_thread(keys.revoke, new.id)
        assert not await opens(served, cookie)
        response, _ = await answered(served, "GET", link["url"].removeprefix(served.url))
        assert response.status == 401


async def test_signing_out_takes_the_cookie_away(serve_demo: Serve) -> None:
    async with serve_demo(openai_keys=KEY) as served:
        response, _ = await answered(served, "POST", "/logout", headers={"Origin": served.url})
        assert response.status == 204
        [given] = response.headers.getall("Set-Cookie")
        assert SimpleCookie(given)["qpty"]["max-age"] == "0"
        response, _ = await answered(served, "POST", "/logout", headers={"Sec-Fetch-Site": "cross-site"})
        assert response.status == 403


async def test_without_keys_there_is_nothing_to_sign_in_to(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        for path in ("/login", "/api/v1/login-links"):
            response, body = await answered(served, "POST", path, data=b"key=x", headers=FORM)
            assert (response.status, "no_keys" in body) == (409, True)
