"""A coordinator over its REST API, with the standard library alone."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, Any, Final, final
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from meshvpn.coordinator.administration import Administration
from meshvpn.errors import ConfigError, CoordinatorError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from http.client import HTTPResponse

__all__ = ["CoordinatorClient"]

_TIMEOUT: Final = 30
"""Seconds for an answer."""
_OVERLOADED: Final = 503


@final
class CoordinatorClient(Administration):
    """Asks a running coordinator.

    Args:
        url: where it is: ``http://127.0.0.1:8080`` or ``https://…``; unencrypted it answers its
            own machine alone.
        token: what it keeps in the file ``api-token`` of its state directory.
        certificate: a file with its certificate (PEM), where no authority vouches for that.
    """

    __slots__ = ("_context", "_token", "_url")

    def __init__(
        self, url: str, token: str, *, certificate: str | os.PathLike[str] | None = None
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(
                f"url: {url!r} is not where a coordinator is", hint="write http://127.0.0.1:8080"
            )
        if not token.isascii() or not token.isprintable() or not token:
            raise ConfigError("token: it must be printable ASCII, and not empty")
        self._url = f"{parts.scheme}://{parts.netloc}/api/v1/"
        self._token = token
        self._context = None
        if certificate is not None:
            try:
                self._context = ssl.create_default_context(cafile=certificate)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(f"certificate: {certificate}: {error}") from error

    def __repr__(self) -> str:
        return f"<CoordinatorClient {self._url}>"

    def _get(self, kind: str, name: str | None = None) -> Any:
        return self._ask("GET", kind if name is None else f"{kind}/{_quoted(name)}")

    def _change(self, what: str, node: str, request: Mapping[str, Any]) -> Any:
        path = f"nodes/{_quoted(node)}"
        if what in {"rename", "tag"}:
            return self._ask("PATCH", path, request)
        if what == "remove":
            return self._ask("DELETE", path)
        return self._ask("POST", f"{path}/{what}", request or None)

    def _create(self, kind: str, request: Mapping[str, Any]) -> Any:
        return self._ask("POST", kind, request)

    def _revoke(self, key: str) -> None:
        self._ask("DELETE", f"keys/{_quoted(key)}")

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        request = Request(self._url + path, data, headers, method=method)
        try:
            response: HTTPResponse
            with urlopen(request, timeout=_TIMEOUT, context=self._context) as response:
                return json.load(response)
        except HTTPError as error:
            raise _refusal(error) from None
        except (URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise CoordinatorError(
                f"no answer from {self._url}: {reason}",
                hint="is it running there? `meshvpn coordinator run` starts one",
            ) from error


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _refusal(error: HTTPError) -> ConfigError | CoordinatorError:
    with error:
        try:
            text = str(json.load(error)["error"])
        except (ValueError, KeyError, TypeError):
            text = f"HTTP {error.code} {error.reason}"
    return CoordinatorError(text) if error.code >= _OVERLOADED else ConfigError(text)
