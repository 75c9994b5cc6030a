"""A session's files over HTTP: put, listed, sent wholly or in part, deleted; and what is none of its files."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import yarl

from tests.server.served import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.server.conftest import Serve
    from tests.server.served import Served

SECRET = "outside-5f2c-secret"


class Files:
    """The files of one session, by requests that go out as they are written here."""

    def __init__(self, served: Served, session_id: str, directory: Path) -> None:
        self.served = served
        self.session_id = session_id
        self.directory = directory

    def url(self, path: str) -> yarl.URL:
        """The address of a path that is encoded already."""
        return yarl.URL(f"{self.served.url}/api/v1/sessions/{self.session_id}/files/{path}", encoded=True)

    async def ask(self, method: str, path: str, **options: Any) -> tuple[aiohttp.ClientResponse, bytes]:
        """Make one request; the answer and its body."""
        async with self.served.http.request(method, self.url(path), **options) as response:
            return response, await response.read()

    async def code(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        """The status and the code of a refusal, which names no place of this machine."""
        async with self.served.http.request(method, self.url(path), **options) as response:
            answer = await response.text()
            assert str(self.directory.parent) not in answer
            assert SECRET not in answer
            return response.status, str((await response.json())["error"]["code"])

    async def listed(self, query: str = "") -> Any:
        """The listing."""
        status, found = await self.served.ask("GET", f"/api/v1/sessions/{self.session_id}/files{query}")
        assert status == 200, found
        return found

    async def names(self) -> list[str]:
        """The paths of all files."""
        return [file["path"] for file in (await self.listed())["files"]]


async def files_of(served: Served) -> Files:
    """A new session's."""
    session_id = await served.session()
    _, info = await served.ask("GET", f"/api/v1/sessions/{session_id}")
    return Files(served, session_id, Path(info["absolute_work_directory"]))


async def test_a_file_is_put_listed_got_replaced_and_deleted(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        files = await files_of(served)
        found = await files.listed()
        assert set(found) == {
            "session_id", "work_directory", "absolute_work_directory", "files", "file_count", "directories", "other",
            "truncated", "unreadable",
        }  # fmt: skip
        assert (found["session_id"], found["files"], found["file_count"]) == (files.session_id, [], 0)
        assert (found["work_directory"], found["absolute_work_directory"]) == (
            f"sessions/{files.session_id}", str(files.directory),
        )  # fmt: skip

        response, _ = await files.ask("PUT", "a/b/notes.txt", data=b"first")
        assert response.status == 201
        made = await response.json()
        assert set(made) == {"name", "path", "size", "modified_time"}
        assert (made["name"], made["path"], made["size"]) == ("notes.txt", "a/b/notes.txt", 5)
        found = await files.listed()
        assert (found["files"], found["file_count"]) == ([made], 1)
        assert [directory["path"] for directory in found["directories"]] == ["a", "a/b"]
        assert (await files.listed("?recursive=false"))["files"] == []
        assert [file["name"] for file in (await files.listed("?path=a/b"))["files"]] == ["notes.txt"]

        response, body = await files.ask("GET", "a/b/notes.txt")
        assert (response.status, body) == (200, b"first")
        response, _ = await files.ask("PUT", "a/b/notes.txt", data=b"second one")
        assert response.status == 200
        response, body = await files.ask("GET", "a/b/notes.txt")
        assert body == b"second one"
        response, body = await files.ask("PUT", "empty")
        assert response.status == 201
        response, body = await files.ask("GET", "empty")
        assert (response.status, body) == (200, b"")

        assert await files.code("DELETE", "a/b") == (409, "directory_not_empty")
        for path in ("a/b/notes.txt", "a/b", "empty"):
            response, body = await files.ask("DELETE", path)
            assert (response.status, body) == (204, b"")
            assert await files.code("DELETE", path) == (404, "file_not_found")
        assert await files.names() == []


async def test_what_a_tool_wrote_is_there(serve: Serve) -> None:
    async with serve() as served:
        session_id = await served.session(trust_all_tools=True)
        await served.chat("write made.txt by a tool", session_id)
        status, found = await served.ask("GET", f"/api/v1/sessions/{session_id}/files")
        assert (status, [file["path"] for file in found["files"]]) == (200, ["made.txt"])
        status, _ = await served.ask("PUT", f"/api/v1/sessions/{session_id}/files/given.txt", data=b"given-to-the-tool")
        assert status == 201
        answer = await served.chat("bash cat given.txt", session_id)
        assert "given-to-the-tool" in answer["text"]


async def test_names_are_any_names(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        files = await files_of(served)
        names = {
            "caf%C3%A9.txt": "café.txt",
            "%E4%BD%A0%E5%A5%BD.md": "你好.md",
            "%F0%9F%91%A9%E2%80%8D%F0%9F%91%A7": "👩\u200d👧",
            "two%20words": "two words",
            "a+b": "a+b",
            "100%25": "100%",
            "what%3F%23": "what?#",
            "back%5Cslash": "back\\slash",
            "quote%22%27": "quote\"'",
            "line%0Abreak": "line\nbreak",
            "%3Cscript%3E": "<script>",
            "%7Bbrace%7D": "{brace}",
            ".hidden": ".hidden",
            "...": "...",
            "-rf": "-rf",
            "x" * 255: "x" * 255,
            "in%2Fside": "in/side",
            "%252e%252e": "%2e%2e",
        }
        for encoded, name in names.items():
            response, _ = await files.ask("PUT", encoded, data=name.encode())
            assert response.status == 201, encoded
            assert (await response.json())["path"] == name
        assert await files.names() == sorted(names.values())
        for encoded, name in names.items():
            response, body = await files.ask("GET", encoded)
            assert (response.status, body) == (200, name.encode())

        def written() -> list[str]:
            return sorted(
                str(path.relative_to(files.directory)) for path in files.directory.rglob("*") if path.is_file()
            )

        assert await asyncio.to_thread(written) == sorted(names.values())


async def test_a_name_that_is_not_utf_8_is_found_by_its_escaped_text(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        files = await files_of(served)
        await asyncio.to_thread((files.directory / os.fsdecode(b"caf\xe9")).write_bytes, b"latin")
        [name] = await files.names()
        response, body = await files.ask("GET", yarl.URL.build(path=f"/{name}").raw_path.removeprefix("/"))
        assert (response.status, body) == (200, b"latin")


async def test_what_is_no_path_inside_is_refused(serve_demo: Serve, tmp_path: Path) -> None:
    async with serve_demo() as served:
        files = await files_of(served)
        outside = files.directory.parent / "outside.txt"
        await asyncio.to_thread(outside.write_text, SECRET)
        refused = [
            "%2e%2e/outside.txt", "%2e%2e%2foutside.txt", "..%2foutside.txt", "a/%2e%2e/%2e%2e/outside.txt",
            "%2e", "a%2f%2e%2fb", "%2fetc%2fpasswd", "a//b", "a/", "a%00b", "%00", "y" * 256, "/".join(["d"] * 65),
            "%E4" * 86 + "z" * 200, "%25raw:x",
        ]  # fmt: skip
        for path in refused:
            for method in ("GET", "PUT", "DELETE"):
                assert await files.code(method, path) == (400, "invalid_path"), path
        for path in ("%2e%2e", "a/..", "%00", "x" * 300):
            status, answer = await served.ask("GET", f"/api/v1/sessions/{files.session_id}/files?path={path}")
            assert (status, answer["error"]["code"]) == (400, "invalid_path"), path
        assert await asyncio.to_thread(outside.read_text) == SECRET
        assert await files.names() == []


async def test_dots_in_a_url_lead_nowhere(serve_demo: Serve) -> None:
    """Clients take these out by themselves; one that doesn't gets no further."""
    async with serve_demo() as served:
        files = await files_of(served)
        await asyncio.to_thread((files.directory.parent / "outside.txt").write_text, SECRET)
        for path in ("../outside.txt", "../../outside.txt", "a/../../outside.txt", "./x", "..", "."):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rpartition(":")[2]))
            target = f"/api/v1/sessions/{files.session_id}/files/{path}"
            writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            assert answer.split()[1] in {b"400", b"404"}, path
            assert SECRET.encode() not in answer


async def test_what_is_not_a_plain_file_is_never_opened(serve_demo: Serve, tmp_path: Path) -> None:
    async with serve_demo() as served:
        session_id = await served.session(trust_all_tools=True)
        _, info = await served.ask("GET", f"/api/v1/sessions/{session_id}")
        files = Files(served, session_id, Path(info["absolute_work_directory"]))
        outside = tmp_path / "outside"
        await asyncio.to_thread(outside.mkdir)
        await asyncio.to_thread((outside / "secret.txt").write_text, SECRET)
        links = f"ln -s {outside}/secret.txt link && ln -s {outside} door && ln -s no-such dangling"
        command = f"{links} && mkfifo pipe && mkdir dir"
        await served.chat(f"bash {command}", session_id)

        def listen() -> None:
            with socket.socket(socket.AF_UNIX) as there:
                os.chdir(files.directory)
                there.bind("socket")

        here = Path.cwd()
        try:
            listen()
        finally:
            os.chdir(here)
        found = await files.listed()
        assert found["files"] == []
        assert found["other"] == ["dangling", "door", "link", "pipe", "socket"]
        assert [directory["path"] for directory in found["directories"]] == ["dir"]
        for path in ("link", "dangling", "door", "pipe", "socket", "dir"):
            assert await asyncio.wait_for(files.code("GET", path), TIMEOUT) == (409, "not_a_file"), path
        for method in ("GET", "PUT", "DELETE"):
            assert await files.code(method, "door/secret.txt") == (409, "not_a_directory")
        assert await files.code("PUT", "dir", data=b"x") == (409, "not_a_file")
        assert await files.code("PUT", "link/below", data=b"x") == (409, "not_a_directory")
        # A link is replaced, and deleted, itself.
        response, _ = await files.ask("PUT", "link", data=b"mine")
        assert response.status == 200
        response, _ = await files.ask("DELETE", "door")
        assert response.status == 204
        assert await asyncio.to_thread((outside / "secret.txt").read_text) == SECRET
        assert await files.names() == ["link"]


async def test_parts_of_a_file(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        files = await files_of(served)
        data = bytes(range(256)) * 4096  # more than any chunk
        response, _ = await files.ask("PUT", "data.bin", data=aiohttp.BytesPayload(data))
        assert response.status == 201
        response, body = await files.ask("GET", "data.bin")
        etag = response.headers["ETag"]
        assert body == data
        assert response.headers["Accept-Ranges"] == "bytes"
        assert response.headers["Last-Modified"].endswith(" GMT")
        for asked, start, stop in (("0-0", 0, 1), ("1000-", 1000, None), ("-7", -7, None), ("5-900000", 5, 900_001)):
            response, body = await files.ask("GET", "data.bin", headers={"Range": f"bytes={asked}"})
            assert (response.status, body) == (206, data[start:stop])
            first = len(data) + start if start < 0 else start
            assert response.headers["Content-Range"] == f"bytes {first}-{first + len(body) - 1}/{len(data)}"
            assert response.content_length == len(body)
            assert response.headers["ETag"] == etag
        for asked in ("bytes=0-1,4-5", "lines=1-2", "nonsense"):
            response, body = await files.ask("GET", "data.bin", headers={"Range": asked})
            assert (response.status, len(body)) == (200, len(data))
        refused, _ = await files.ask("GET", "data.bin", headers={"Range": f"bytes={len(data)}-"})
        assert (refused.status, refused.headers["Content-Range"]) == (416, f"bytes */{len(data)}")
        for tag, status in ((etag, 206), ('"old"', 200), (f"W/{etag}", 200)):
            response, _ = await files.ask("GET", "data.bin", headers={"Range": "bytes=1-2", "If-Range": tag})
            assert response.status == status
        for header, status in ((etag, 304), (f'"x", W/{etag}', 304), ("*", 304), ('"x"', 200)):
            response, body = await files.ask(
                "GET", "data.bin", headers={"If-None-Match": header, "Range": "bytes=9999999-"}
            )
            if status == 304:
                assert (response.status, body, response.headers["ETag"]) == (304, b"", etag)
            else:
                assert response.status == 416
        response, body = await files.ask("HEAD", "data.bin", headers={"Range": "bytes=1-2"})
        assert (response.status, body, response.content_length) == (200, b"", len(data))
        assert response.headers["ETag"] == etag
        response, _ = await files.ask("HEAD", "no-such")
        assert response.status == 404
        await files.ask("PUT", "data.bin", data=b"new")
        response, body = await files.ask("GET", "data.bin", headers={"If-None-Match": etag})
        assert (response.status, body) == (200, b"new")


async def test_a_download_is_never_a_page_of_ours(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        files = await files_of(served)
        for name, media_type in (
            ("page.html", "text/html"), ("page.svg", "image/svg+xml"), ("code.js", "text/javascript"),
            ("notes.txt", "text/plain"), ("unknown.xyzzy", "application/octet-stream"),
            ("no-type", "application/octet-stream"), ("packed.tar.gz", "application/octet-stream"),
        ):  # fmt: skip
            await files.ask("PUT", name, data=b"<script>alert(1)</script>")
            response, _ = await files.ask("GET", name)
            assert response.content_type == media_type, name
            assert response.headers["Content-Disposition"].startswith(f'attachment; filename="{name}"')
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
            assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        await files.ask("PUT", "%C3%A9%22%0D%0AX-Evil:%20yes.html", data=b"x")
        response, _ = await files.ask("GET", "%C3%A9%22%0D%0AX-Evil:%20yes.html")
        assert "X-Evil" not in response.headers
        assert response.headers["Content-Disposition"] == (
            "attachment; filename=\"____X-Evil: yes.html\"; filename*=UTF-8''%C3%A9%22%0D%0AX-Evil%3A%20yes.html"
        )


async def pieces(size: int, count: int) -> AsyncIterator[bytes]:
    """A body whose length isn't told."""
    for _ in range(count):
        yield b"x" * size


async def test_a_file_that_is_too_large_leaves_nothing(serve_demo: Serve) -> None:
    async with serve_demo(max_file_bytes=1000, max_body_bytes=1024) as served:
        files = await files_of(served)
        for body in (b"x" * 1001, pieces(100, 11)):
            assert await files.code("PUT", "new/large.bin", data=body) == (413, "file_too_large")
        found = await files.listed()
        assert (found["files"], found["directories"]) == ([], [])
        response, _ = await files.ask("PUT", "exact.bin", data=pieces(100, 10))
        assert response.status == 201
        assert await files.code("PUT", "exact.bin", data=pieces(100, 11)) == (413, "file_too_large")
        assert (await files.ask("GET", "exact.bin"))[1] == b"x" * 1000


async def test_a_file_may_be_larger_than_any_other_body(serve_demo: Serve) -> None:
    async with serve_demo(max_body_bytes=1024) as served:
        files = await files_of(served)
        response, _ = await files.ask("PUT", "large.bin", data=pieces(65536, 48))
        assert (response.status, (await response.json())["size"]) == (201, 65536 * 48)


async def test_a_file_is_put_only_where_nothing_is(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        files = await files_of(served)
        only = {"If-None-Match": "*"}
        response, _ = await files.ask("PUT", "a.txt", data=b"first", headers=only)
        assert response.status == 201
        assert await files.code("PUT", "a.txt", data=b"second", headers=only) == (412, "name_taken")
        assert (await files.ask("GET", "a.txt"))[1] == b"first"
        several = [files.ask("PUT", "race.txt", data=b"%d" % number, headers=only) for number in range(8)]
        statuses = [response.status for response, _ in await asyncio.gather(*several)]
        assert sorted(statuses) == [201] + [412] * 7


async def test_a_packed_body_is_not_taken_for_the_file(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        files = await files_of(served)
        headers = {"Content-Encoding": "gzip"}
        assert await files.code("PUT", "a.txt", data=b"\x1f\x8b", headers=headers) == (415, "unsupported_encoding")
        assert await files.names() == []


async def test_an_upload_that_breaks_off_leaves_nothing(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        files = await files_of(served)
        await files.ask("PUT", "old.txt", data=b"old")
        port = int(served.url.rpartition(":")[2])
        for name in ("old.txt", "new/deep/file.txt"):
            for head in ("Content-Length: 100000", "Transfer-Encoding: chunked"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                target = f"/api/v1/sessions/{files.session_id}/files/{name}"
                writer.write(f"PUT {target} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n".encode())
                writer.write(b"2000\r\n" + b"y" * 0x2000)
                await writer.drain()
                writer.transport.abort()
                assert await reader.read() == b""
        async with asyncio.timeout(TIMEOUT):
            while 'operation="put_file",status="499"} 4.0' not in (await served.ask("GET", "/metrics"))[1]:
                pass  # each has to notice that its client has gone
        found = await files.listed()
        assert [file["path"] for file in found["files"]] == ["old.txt"]
        assert found["directories"] == []
        assert (await files.ask("GET", "old.txt"))[1] == b"old"

        def entries() -> list[str]:
            return [path.name for path in files.directory.iterdir()]

        assert await asyncio.to_thread(entries) == ["old.txt"]
