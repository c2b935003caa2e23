"""The page at ``/``: packaged files, served as they are, that need nothing from elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Final

from fastapi import FastAPI, Request, Response

_INDEX: Final = "index.html"
_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Nothing but our own files, no inline code, and no way from a string to markup or a script.
# Source: W3C, Content Security Policy Level 3; Trusted Types.
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Asked for again each time, and answered with 304: an update never mixes with old files.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    tag: str

    def response(self, request: Request) -> Response:
        """Return the file, or 304 where the browser has it already."""
        headers = {**HEADERS, "ETag": self.tag}
        if request.headers.get("if-none-match") == self.tag:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(self.content, media_type=self.media_type, headers=headers)


def add_page(app: FastAPI) -> None:
    """Add the page and its files; they hold no data, so whoever asks may have them."""
    found = _packaged()
    for name, file in found.items():
        path = "/" if name == _INDEX else f"/page/{name}"
        app.add_api_route(path, _serve(file), methods=["GET", "HEAD"], include_in_schema=False)


def _packaged() -> dict[str, _File]:
    folder = files("rag.service").joinpath("page")
    return {
        each.name: _file(each.name, each.read_bytes())
        for each in folder.iterdir()
        if PurePosixPath(each.name).suffix in _TYPES
    }


def _file(name: str, content: bytes) -> _File:
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return _File(content, _TYPES[PurePosixPath(name).suffix], tag)


def _serve(file: _File) -> Callable[[Request], Response]:
    def serve(request: Request) -> Response:
        return file.response(request)

    return serve
