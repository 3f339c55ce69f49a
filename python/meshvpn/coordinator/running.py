"""A coordinator in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, final

from meshvpn import _logging, _meshvpn
from meshvpn._values import utf8
from meshvpn.coordinator.administration import Administration
from meshvpn.errors import ConfigError
from meshvpn.keys import PublicKey

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from types import TracebackType

__all__ = ["Coordinator"]


@final
class Coordinator(Administration):
    """A running coordinator; ends with :meth:`close`.

    Works as a context manager::

        with meshvpn.Coordinator({"listen": "127.0.0.1:0", "state": "/tmp/mesh"}) as coordinator:
            key = coordinator.create_auth_key(reusable=True)
            print(coordinator.url, coordinator.public_key, coordinator.nodes())

    What it has acknowledged is in its state directory, after ``kill -9`` and a power cut too.

    Args:
        config: the path of a YAML file, or its fields as a mapping; none has all defaults.
        netns: the network namespace to listen in, a name as ``ip netns`` lists it or a path.

    Raises:
        ConfigError: a field cannot be used; the message names it.
        NetworkError: it cannot listen there.
        CoordinatorError: its state cannot be read or written.
    """

    __slots__ = ("_handle",)

    def __init__(
        self,
        config: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        *,
        netns: str | None = None,
    ) -> None:
        _logging.start()
        self._handle = _meshvpn.Coordinator(
            _text(config), netns=None if netns is None else utf8("netns", netns)
        )

    @property
    def url(self) -> str:
        """How nodes reach it: the field ``url`` of its configuration, or where it listens."""
        return self._handle.url()

    @property
    def local_address(self) -> str:
        """Where it listens: ``127.0.0.1:8080``."""
        return self._handle.local_address()

    @property
    def public_key(self) -> PublicKey:
        """What nodes must know of it; an auth key holds it as well."""
        return PublicKey.from_base64(self._handle.public_key())

    def close(self) -> None:
        """End it; its port is free afterwards. Again is harmless."""
        self._handle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Coordinator {self.url}>"

    def _get(self, kind: str, name: str | None = None) -> Any:
        handle = self._handle
        if name is not None:
            return json.loads(handle.node(name))
        ask = {"mesh": handle.mesh, "nodes": handle.nodes, "keys": handle.keys}[kind]
        return json.loads(ask())

    def _change(self, what: str, node: str, request: Mapping[str, Any]) -> Any:
        handle = self._handle
        match what:
            case "approve":
                answer = handle.approve(node)
            case "rename":
                answer = handle.rename(node, request["name"])
            case "tag":
                answer = handle.tag(node, request["tags"])
            case "routes":
                answer = handle.approve_routes(node, request["routes"])
            case "expire":
                answer = handle.expire(node, request["at"])
            case _:
                answer = handle.remove(node)
        return json.loads(answer)

    def _create(self, kind: str, request: Mapping[str, Any]) -> Any:
        create = self._handle.add_peer if kind == "peers" else self._handle.create_key
        return json.loads(create(json.dumps(request)))

    def _revoke(self, key: str) -> None:
        self._handle.revoke_key(key)


def _text(config: Mapping[str, Any] | str | os.PathLike[str] | None) -> str:
    """The configuration as YAML; JSON is YAML as well."""
    if config is None:
        return ""
    if isinstance(config, (str, Path)) or hasattr(config, "__fspath__"):
        path = Path(config)
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"config: {path}: {error.strerror}") from error
    return json.dumps(dict(config), default=str)
