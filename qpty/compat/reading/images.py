"""Pictures and files that come inside a request: data URLs, base64, and what the bytes really are.

A picture's kind is read from its first bytes; what the client declares is believed for other files only. qpty fetches
nothing, so addresses are refused.
"""

from __future__ import annotations

import binascii
import re
from typing import Final
from urllib.parse import unquote_to_bytes

from qpty.compat.requests import File, Image, RequestError

MAX_IMAGE_BYTES: Final = 20 << 20
MAX_FILE_BYTES: Final = 32 << 20

_MEDIA_TYPE: Final = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,15}:", re.ASCII | re.IGNORECASE)
_MAX_HEAD_CHARACTERS: Final = 1024
"""How far the comma of a data URL is looked for."""


def image_type(data: bytes) -> str | None:
    """Return the media type of a picture, by its first bytes; None if it is none of the four kinds."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def image_from_base64(text: str, path: str) -> Image:
    """Return the picture of a base64 text. Raises `RequestError`."""
    return _image(_decoded(text, path, limit=MAX_IMAGE_BYTES), path)


def image_from_url(url: str, path: str) -> Image:
    """Return the picture of a data URL. Raises `RequestError`."""
    _, data = _from_data_url(url, path, limit=MAX_IMAGE_BYTES)
    return _image(data, path)


def file_from_base64(text: str, path: str, *, media_type: str | None = None, name: str | None = None) -> File | Image:
    """Return the file of a data URL or a base64 text; a picture among files is a picture. Raises `RequestError`."""
    declared, data = None, b""
    if _SCHEME.match(text):
        declared, data = _from_data_url(text, path, limit=MAX_FILE_BYTES)
    else:
        data = _decoded(text, path, limit=MAX_FILE_BYTES)
    if image_type(data) is not None:
        return _image(data, path)
    return File(_file_type(declared or media_type, data), data, name or None)


def file_from_text(text: str, path: str, *, name: str | None = None) -> File:
    """Return a text as a file. Raises `RequestError`."""
    data = text.encode()
    if len(data) > MAX_FILE_BYTES:
        raise _too_large(path, MAX_FILE_BYTES)
    return File("text/plain", data, name or None)


def missing_data(path: str, field: str, *, file_id: str | None) -> RequestError:
    """Return the error of a picture or a file without data, which may be meant to be one that was uploaded before."""
    if file_id:
        where = f"{path}.file_id"
        return RequestError(f"{where}: no files are kept here; send the data itself, in `{field}`", param=where)
    where = f"{path}.{field}"
    return RequestError(f"{where}: give the data, as a data URL", param=where, code="missing_required_parameter")


def _image(data: bytes, path: str) -> Image:
    kind = image_type(data)
    if kind is None:
        raise RequestError(
            f"{path}: this isn't a PNG, JPEG, GIF or WebP picture; send one of these kinds, as base64",
            param=path,
            code="invalid_image_format",
        )
    if len(data) > MAX_IMAGE_BYTES:
        raise _too_large(path, MAX_IMAGE_BYTES)
    return Image(kind, data)


def _file_type(declared: str | None, data: bytes) -> str:
    """Return a file's media type: as declared, or else as far as its bytes say."""
    if declared is not None and _MEDIA_TYPE.fullmatch(declared):
        return declared.lower()
    if data.startswith(b"%PDF-"):
        return "application/pdf"
    try:
        data.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "application/octet-stream" if b"\0" in data else "text/plain"


def _from_data_url(url: str, path: str, *, limit: int) -> tuple[str | None, bytes]:
    """Return what a data URL declares, if anything, and holds."""
    if url[:5].lower() != "data:":
        raise RequestError(
            f"{path}: qpty fetches nothing; send the data itself, as a data URL (data:image/png;base64,…)", param=path
        )
    comma = url.find(",", 0, _MAX_HEAD_CHARACTERS)
    if comma < 0:
        raise RequestError(f"{path}: this data URL has no comma before its data; write data:TYPE;base64,…", param=path)
    media_type, *parameters = (part.strip() for part in url[5:comma].split(";"))
    text = url[comma + 1 :]
    if "base64" in (parameter.lower() for parameter in parameters):
        return media_type or None, _decoded(unquote_to_bytes(text) if "%" in text else text, path, limit=limit)
    data = unquote_to_bytes(text)
    if len(data) > limit:
        raise _too_large(path, limit)
    return media_type or None, data


def _decoded(text: str | bytes, path: str, *, limit: int) -> bytes:
    """Decode base64. White space (MIME's line ends) is passed over; nothing else that isn't of the alphabet."""
    try:
        try:
            data = binascii.a2b_base64(text, strict_mode=True)
        except ValueError:
            data = binascii.a2b_base64(type(text)().join(text.split()), strict_mode=True)  # type: ignore[arg-type]
    except ValueError:  # binascii.Error is one, and so is a character that isn't ASCII
        raise RequestError(
            f"{path}: this isn't base64; encode the bytes with the standard alphabet and padding", param=path
        ) from None
    if len(data) > limit:
        raise _too_large(path, limit)
    return data


def _too_large(path: str, limit: int) -> RequestError:
    return RequestError(f"{path}: larger than {limit >> 20} MiB; send a smaller one", param=path)
