"""A key is read from where only its owner can read it, and never shown."""

from __future__ import annotations

import os
import pickle
import socket
from typing import TYPE_CHECKING

import pytest

import meshvpn

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def key() -> meshvpn.PresharedKey:
    return meshvpn.PresharedKey.generate()


def test_a_file_holds_a_key_that_only_the_owner_can_read(
    key: meshvpn.PresharedKey, tmp_path: Path
) -> None:
    path = tmp_path / "mesh.key"
    key.to_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert meshvpn.PresharedKey.from_file(path) == key
    with pytest.raises(FileExistsError):
        key.to_file(path)


def test_a_file_that_others_can_read_is_refused(key: meshvpn.PresharedKey, tmp_path: Path) -> None:
    path = tmp_path / "mesh.key"
    key.to_file(path)
    path.chmod(0o640)
    with pytest.raises(meshvpn.PermissionDeniedError, match=r"mode 0640") as caught:
        meshvpn.PresharedKey.from_file(path)
    assert caught.value.hint == f"chmod 600 {path}"


@pytest.mark.parametrize("kind", ["a FIFO", "a directory", "a socket", "a device"])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "mesh.key"
    match kind:
        case "a FIFO":
            os.mkfifo(path, 0o600)
        case "a directory":
            path.mkdir()
        case "a socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
        case _:
            path.symlink_to("/dev/zero")
    with pytest.raises(meshvpn.ConfigError, match=f"key file {path}: is {kind}, not a regular"):
        meshvpn.PresharedKey.from_file(path)


def test_a_key_in_place_of_a_path_is_not_repeated(key: meshvpn.PresharedKey) -> None:
    with pytest.raises(meshvpn.ConfigError, match="a key was given where the path") as caught:
        meshvpn.PresharedKey.from_file(key.to_base64())
    assert key.to_base64() not in str(caught.value)


def test_nothing_shows_a_key(key: meshvpn.PresharedKey) -> None:
    secret = key.to_base64()
    assert secret not in repr(key) + str(key) + f"{key}"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)


@pytest.mark.parametrize("data", [b"", bytes(31), bytes(32), bytes(33)])
def test_wrong_lengths_and_zeros_are_refused(data: bytes) -> None:
    with pytest.raises(meshvpn.ConfigError):
        meshvpn.PresharedKey(data)
