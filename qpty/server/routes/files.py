"""The files of a session: listed, sent (wholly or in part), put, deleted.

What is sent was written by a model's tools: it always comes as a download, and never as a page of this origin.
"""

from __future__ import annotations

import mimetypes
from contextlib import aclosing
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

from aiohttp import web

from qpty.server.byte_ranges import Whole, has_already, wanted_range
from qpty.server.downloads import attachment
from qpty.server.errors import InvalidRequestError
from qpty.server.models import sessions as shapes
from qpty.server.operations import UNREADABLE, Call, answer
from qpty.server.routes.sessions import work_directory
from qpty.sessions.files.confined import FileLimits
from qpty.sessions.files.errors import FileMissingError, FileTooLargeError
from qpty.sessions.journal import timestamp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from qpty.sessions.files.confined import ConfinedDirectory, FileInfo
    from qpty.sessions.files.reader import FileReader

UPLOAD_CHUNK: Final = 64 * 1024
SANDBOX: Final = "default-src 'none'; frame-ancestors 'none'; sandbox"


async def listing(call: Call) -> web.Response:
    """List the files."""
    query = call.query(shapes.FileQuery)
    info = await call.manager.get(call.session_id, owner=call.owner)
    directory = await call.manager.files(call.session_id, owner=call.owner)
    found = await directory.list(query.path, recursive=query.recursive)
    files = [_shape(entry) for entry in found.entries if entry.kind == "file"]
    return answer(
        shapes.FileList(
            session_id=info.id,
            work_directory=work_directory(info),
            absolute_work_directory=str(info.directory),
            files=files,
            file_count=len(files),
            directories=[
                shapes.Directory(name=entry.name, path=entry.path, modified_time=timestamp(entry.modified_time))
                for entry in found.entries
                if entry.kind == "directory"
            ],
            other=[entry.path for entry in found.entries if entry.kind == "other"],
            truncated=found.truncated,
            unreadable=list(found.unreadable),
        )
    )


def _shape(entry: FileInfo) -> shapes.File:
    return shapes.File(name=entry.name, path=entry.path, size=entry.size, modified_time=timestamp(entry.modified_time))


async def get(call: Call) -> web.StreamResponse:
    """Send a file, or the part of it that is asked for."""
    directory = await call.manager.files(call.session_id, owner=call.owner)
    path = call.part("path")
    async with directory.open_read(path) as file:
        etag = f'"{file.identity}"'
        headers = {
            "Content-Type": _media_type(path),
            "Content-Disposition": attachment(path.rpartition("/")[2]),
            "Content-Security-Policy": SANDBOX,
            "Accept-Ranges": "bytes",
            "ETag": etag,
            "Last-Modified": formatdate(file.modified_time, usegmt=True),
        }
        request = call.request
        if has_already(request.headers.get("If-None-Match"), etag=etag):
            return web.Response(status=304, headers={"ETag": etag})
        asked = request.headers.get("Range") if request.method == "GET" else None  # a range has no meaning elsewhere
        wanted = wanted_range(
            asked, if_range=request.headers.get("If-Range"), etag=etag, size=file.size, path=file.path
        )
        status = 200
        if not isinstance(wanted, Whole):
            status = 206
            headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{file.size}"
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = wanted.stop - wanted.start
        await response.prepare(request)
        if request.method != "HEAD":
            await _send(file, wanted.start, wanted.stop, response)
        await response.write_eof()
        return response


async def _send(file: FileReader, start: int, stop: int, response: web.StreamResponse) -> None:
    chunks = file.chunks(start, stop)
    async with aclosing(chunks):
        async for chunk in chunks:
            await response.write(chunk)


async def put(call: Call) -> web.Response:
    """Put a file in its place, whole."""
    limit = call.service.settings.max_file_bytes
    call.check_encoding()
    limits = FileLimits(max_file_bytes=limit)
    directory = await call.manager.files(call.session_id, owner=call.owner, limits=limits)
    path = call.part("path")
    if (call.request.content_length or 0) > limit:
        raise FileTooLargeError(path, limit)
    replace = call.request.headers.get("If-None-Match", "").strip() != "*"
    replaced = replace and await _is_there(directory, path)
    written = await directory.write(path, _body(call.request), replace=replace)
    return answer(_shape(written), 200 if replaced else 201)


async def _is_there(directory: ConfinedDirectory, path: str) -> bool:
    try:
        await directory.stat(path)
    except FileMissingError:
        return False
    return True


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.content.iter_chunked(UPLOAD_CHUNK):
            yield chunk
    except web.RequestPayloadError as error:
        raise InvalidRequestError(UNREADABLE) from error


async def delete(call: Call) -> web.Response:
    """Delete a file, or an empty directory."""
    directory = await call.manager.files(call.session_id, owner=call.owner)
    await directory.delete(call.part("path"))
    return web.Response(status=204)


def _media_type(path: str) -> str:
    guessed, encoding = mimetypes.guess_type(path, strict=False)
    if guessed is None or encoding is not None:
        return "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed
