"""Keys as types: made, read and written, never shown.

>>> key = PresharedKey.generate()
>>> key
PresharedKey(secret)
>>> PresharedKey.from_base64(key.to_base64()) == key
True
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from pathlib import Path
from typing import Any, NoReturn, final

from meshvpn.errors import ConfigError, PermissionDeniedError

__all__ = ["PresharedKey"]

_LENGTH = 32

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@final
class PresharedKey:
    """A 256-bit secret that two peers share.

    Python cannot wipe its copy of the bytes: the engine wipes its own, and the keys derived from
    it. Comparison takes constant time; ``repr`` and ``str`` show nothing; pickling is refused,
    because a pickle is a copy that nobody guards.

    Args:
        data: the 32 bytes.

    Raises:
        ConfigError: not 32 bytes, or all of them zero.
    """

    __slots__ = ("_data",)
    _data: bytes

    def __init__(self, data: bytes) -> None:
        if len(data) != _LENGTH:
            raise ConfigError(
                f"pre-shared key: {len(data)} bytes instead of {_LENGTH}",
                hint="make one with: meshvpn genpsk",
            )
        if not any(data):
            raise ConfigError(
                "pre-shared key: all bytes are zero, which everyone can guess",
                hint="make one with: meshvpn genpsk",
            )
        self._data = bytes(data)

    @classmethod
    def generate(cls) -> PresharedKey:
        """A new key from the operating system's randomness."""
        return cls(os.urandom(_LENGTH))

    @classmethod
    def from_base64(cls, text: str) -> PresharedKey:
        """The key from its 44 characters of base64, as ``meshvpn genpsk`` and ``wg genpsk`` print.

        Raises:
            ConfigError: not base64, or not of 32 bytes. The message does not repeat the text.
        """
        try:
            data = base64.b64decode(text.strip(), validate=True)
        except (binascii.Error, ValueError):
            raise ConfigError(
                "pre-shared key: not base64",
                hint="a key is 44 characters that end in '='; make one with: meshvpn genpsk",
            ) from None
        return cls(data)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> PresharedKey:
        """The key from a regular file that only its owner can read.

        Raises:
            ConfigError: the file is missing, no regular file, or holds no key.
            PermissionDeniedError: the file may not be read, or others own it or can read it.
        """
        if _looks_like_a_key(os.fspath(path)):
            # Never shown, as a path would be: a key in a log is a key to change.
            raise ConfigError(
                "key file: a key was given where the path of a key file belongs",
                hint="write the key to a file of mode 0600, or use PresharedKey.from_base64",
            )
        path = Path(path)
        try:
            _check_regular(path)
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                mode = stat.S_IMODE(status.st_mode)
                if status.st_uid not in _trusted_owners():
                    raise PermissionDeniedError(
                        f"key file {path}: belongs to another user (uid {status.st_uid})",
                        hint=f"chown {os.geteuid()} {path}",
                    )
                if mode & 0o077:
                    raise PermissionDeniedError(
                        f"key file {path}: others can read or change it (mode {mode:04o})",
                        hint=f"chmod 600 {path}",
                    )
                content = file.read(256)
        except FileNotFoundError:
            raise ConfigError(
                f"key file {path}: no such file",
                hint=f"make one with: meshvpn genpsk --out {path}",
            ) from None
        except PermissionError as error:
            if isinstance(error, PermissionDeniedError):
                raise
            raise PermissionDeniedError(f"key file {path}: may not be read") from None
        try:
            return cls.from_base64(content.decode("ascii"))
        except (ConfigError, UnicodeDecodeError):
            raise ConfigError(
                f"key file {path}: holds no key",
                hint="a key is 44 characters of base64 on one line",
            ) from None

    def to_file(self, path: str | os.PathLike[str]) -> None:
        """Write the key to a new file that only its owner can read (mode 0600).

        Raises:
            FileExistsError: there is a file already; it is left as it is.
        """
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(self.to_base64() + "\n")
        except BaseException:  # a full disk, Ctrl-C: half a key would pass for one that is in use
            Path(path).unlink()
            raise

    def to_base64(self) -> str:
        """The key as 44 characters, for a file or a pipe. This reveals it."""
        return base64.b64encode(self._data).decode("ascii")

    def __bytes__(self) -> bytes:
        """The 32 bytes. This reveals them."""
        return self._data

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PresharedKey):
            return NotImplemented
        import hmac  # noqa: PLC0415 (it loads OpenSSL, which a tunnel has no other use for)

        return hmac.compare_digest(self._data, other._data)

    def __hash__(self) -> int:
        return hash((PresharedKey, self._data))

    def __repr__(self) -> str:
        return "PresharedKey(secret)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a PresharedKey is not pickled; pass the path of a key file")

    def __copy__(self) -> PresharedKey:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> PresharedKey:
        return self


def _check_regular(path: Path) -> None:
    """Refuse what blocks when it is opened, or does something."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise ConfigError(
            f"key file {path}: is {kind}, not a regular file",
            hint="keep the key in a file of mode 0600: meshvpn genpsk --out FILE",
        )


def _looks_like_a_key(path: str) -> bool:
    try:
        return len(base64.b64decode(path.strip(), validate=True)) == _LENGTH
    except (binascii.Error, ValueError):
        return False


def _trusted_owners() -> set[int]:
    """Who may own a key file: this user, root, and whoever called sudo."""
    caller = os.environ.get("SUDO_UID", "")
    return {os.geteuid(), 0} | ({int(caller)} if caller.isdecimal() else set())
