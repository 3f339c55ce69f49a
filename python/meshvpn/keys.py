"""Keys as types: made, read and written; secret ones never shown.

>>> key = PrivateKey.generate()
>>> key
PrivateKey(secret)
>>> PublicKey.from_base64(str(key.public_key)) == key.public_key
True
>>> PresharedKey.generate()
PresharedKey(secret)
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self, final

from meshvpn._meshvpn import x25519_key_pair
from meshvpn.errors import ConfigError, PermissionDeniedError

__all__ = ["PresharedKey", "PrivateKey", "PublicKey"]

_LENGTH = 32

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class _Secret:
    """What secret keys have in common.

    Python cannot wipe its copy of the bytes: the engine wipes its own, and the keys derived from
    it. Comparison takes constant time; ``repr`` and ``str`` show nothing; pickling is refused,
    because a pickle is a copy that nobody guards.
    """

    __slots__ = ("_data",)
    _data: bytes

    _NAME: ClassVar[str]
    _COMMAND: ClassVar[str]

    def __init__(self, data: bytes) -> None:
        _check_length(data, self._NAME, self._COMMAND)
        if not any(data):
            raise ConfigError(
                f"{self._NAME}: all bytes are zero, which everyone can guess",
                hint=f"make one with: {self._COMMAND}",
            )
        self._data = bytes(data)

    @classmethod
    def generate(cls) -> Self:
        """A new key from the operating system's randomness."""
        return cls(os.urandom(_LENGTH))

    @classmethod
    def from_base64(cls, text: str) -> Self:
        """The key from its 44 characters of base64, as ``meshvpn`` and ``wg`` print them.

        Raises:
            ConfigError: not base64, or not of 32 bytes. The message does not repeat the text.
        """
        return cls(_decode(text, cls._NAME, cls._COMMAND))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """The key from a regular file that only its owner can read.

        Raises:
            ConfigError: the file is missing, no regular file, or holds no key.
            PermissionDeniedError: the file may not be read, or others own it or can read it.
        """
        if _looks_like_a_key(os.fspath(path)):
            # Never shown, as a path would be: a key in a log is a key to change.
            raise ConfigError(
                "key file: a key was given where the path of a key file belongs",
                hint=f"write the key to a file of mode 0600, or use {cls.__name__}.from_base64",
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
                hint=f"make one with: {cls._COMMAND} --out {path}",
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
        if not isinstance(other, _Secret) or type(other) is not type(self):
            return NotImplemented
        import hmac  # noqa: PLC0415 (it loads OpenSSL, which a tunnel has no other use for)

        return hmac.compare_digest(self._data, other._data)

    def __hash__(self) -> int:
        return hash((type(self), self._data))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(secret)"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is not pickled; pass the path of a key file")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


@final
class PresharedKey(_Secret):
    """A 256-bit secret that two peers share.

    Python cannot wipe its copy of the bytes: the engine wipes its own, and the keys derived from
    it. Comparison takes constant time; ``repr`` and ``str`` show nothing; pickling is refused,
    because a pickle is a copy that nobody guards.

    Args:
        data: the 32 bytes.

    Raises:
        ConfigError: not 32 bytes, or all of them zero.
    """

    __slots__ = ()
    _NAME = "pre-shared key"
    _COMMAND = "meshvpn genpsk"


@final
class PrivateKey(_Secret):
    """What a WireGuard peer proves its identity with: an X25519 key, kept like a ``PresharedKey``.

    Args:
        data: 32 bytes, of which five bits are set as X25519 wants them (RFC 7748, section 5):
            those of a key stay as they are.

    Raises:
        ConfigError: not 32 bytes, or all of them zero.
    """

    __slots__ = ("_public_key",)
    _public_key: PublicKey

    _NAME = "private key"
    _COMMAND = "meshvpn genkey"

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._data, public = x25519_key_pair(self._data)
        self._public_key = PublicKey(public)

    @property
    def public_key(self) -> PublicKey:
        """What others know this peer by."""
        return self._public_key


@final
class PublicKey:
    """What a WireGuard peer is known by; no secret. ``str`` is its base64.

    Args:
        data: the 32 bytes.

    Raises:
        ConfigError: not 32 bytes.
    """

    __slots__ = ("_data",)
    _data: bytes

    def __init__(self, data: bytes) -> None:
        _check_length(data, "public key", "meshvpn pubkey")
        self._data = bytes(data)

    @classmethod
    def from_base64(cls, text: str) -> PublicKey:
        """The key from its 44 characters of base64, as ``meshvpn pubkey`` and ``wg pubkey`` print.

        Raises:
            ConfigError: not base64, or not of 32 bytes. The message does not repeat the text, which
                may be a private key by mistake.
        """
        return cls(_decode(text, "public key", "meshvpn pubkey"))

    def to_base64(self) -> str:
        """The key as 44 characters."""
        return base64.b64encode(self._data).decode("ascii")

    def __bytes__(self) -> bytes:
        """The 32 bytes."""
        return self._data

    def __str__(self) -> str:
        return self.to_base64()

    def __repr__(self) -> str:
        return f"PublicKey.from_base64({self.to_base64()!r})"

    def __eq__(self, other: object) -> bool:
        return self._data == other._data if isinstance(other, PublicKey) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return self._data < other._data if isinstance(other, PublicKey) else NotImplemented

    def __hash__(self) -> int:
        return hash((PublicKey, self._data))

    def __reduce__(self) -> tuple[type[PublicKey], tuple[bytes]]:
        return PublicKey, (self._data,)


def _check_length(data: bytes, name: str, command: str) -> None:
    if len(data) != _LENGTH:
        raise ConfigError(
            f"{name}: {len(data)} bytes instead of {_LENGTH}", hint=f"make one with: {command}"
        )


def _decode(text: str, name: str, command: str) -> bytes:
    text = text.strip()
    try:
        data = base64.b64decode(text, validate=True)
        # Bits that no byte takes must be zero, or two texts would be one key.
        is_canonical = base64.b64encode(data) == text.encode("ascii")
    except (binascii.Error, ValueError):
        is_canonical = False
    if not is_canonical:
        raise ConfigError(
            f"{name}: not base64",
            hint=f"a key is 44 characters that end in '='; make one with: {command}",
        )
    return data


def _check_regular(path: Path) -> None:
    """Refuse what blocks when it is opened, or does something.

    A pipe that is open already is no such thing: a shell makes one for ``--key-file <(command)``.
    """
    mode = path.stat().st_mode
    is_open = path.parent.resolve() == Path("/proc/self/fd").resolve()
    if not stat.S_ISREG(mode) and not (stat.S_ISFIFO(mode) and is_open):
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
