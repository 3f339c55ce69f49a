"""``meshvpn genpsk``, ``genkey`` and ``pubkey``."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from meshvpn import PresharedKey, PrivateKey
from tests.cli.command import MESHVPN, meshvpn

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = pytest.mark.parametrize(
    ("command", "kind"), [("genpsk", PresharedKey), ("genkey", PrivateKey)]
)


def pubkey(content: str | bytes) -> subprocess.CompletedProcess[bytes]:
    content = content.encode() if isinstance(content, str) else content
    command = [*MESHVPN, "pubkey"]
    return subprocess.run(command, input=content, capture_output=True, check=False)


@SECRETS
def test_a_key_goes_to_standard_output_alone(
    command: str, kind: type[PresharedKey | PrivateKey]
) -> None:
    first, second = meshvpn(command), meshvpn(command)
    assert first.returncode == 0
    assert first.stderr == ""
    (line,) = first.stdout.splitlines()
    assert kind.from_base64(line).to_base64() == line
    assert kind.from_base64(line) != kind.from_base64(second.stdout)


@SECRETS
def test_a_key_file_is_its_owner_s_alone_and_never_overwritten(
    command: str, kind: type[PresharedKey | PrivateKey], tmp_path: Path
) -> None:
    file = tmp_path / "mesh.key"
    done = meshvpn(command, "--out", file)
    assert (done.returncode, done.stdout) == (0, "")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    key = kind.from_file(file)
    again = meshvpn(command, "--out", file)
    assert again.returncode == 1
    assert "hint: " in again.stderr
    assert kind.from_file(file) == key


@SECRETS
def test_on_a_terminal_it_says_how_to_keep_the_key(
    command: str, kind: type[PresharedKey | PrivateKey]
) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [*MESHVPN, command], stdout=theirs, stderr=subprocess.PIPE, text=True, check=True
    )
    os.close(theirs)
    shown = os.read(ours, 1000).decode()
    os.close(ours)
    kind.from_base64(shown)
    assert f"{command} --out" in done.stderr


def test_a_place_that_cannot_be_written_is_an_error_of_one_line(tmp_path: Path) -> None:
    done = meshvpn("genpsk", "--out", tmp_path / "missing" / "mesh.key")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "No such file or directory" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.needs("wg")
def test_pubkey_says_what_wg_pubkey_says() -> None:
    private = meshvpn("genkey").stdout
    theirs = subprocess.check_output(["wg", "pubkey"], input=private.encode())
    ours = pubkey(private)
    assert (ours.returncode, ours.stdout, ours.stderr) == (0, theirs, b"")


@pytest.mark.needs("wg")
def test_pubkey_takes_what_wg_genkey_makes() -> None:
    private = subprocess.check_output(["wg", "genkey"])
    theirs = subprocess.check_output(["wg", "pubkey"], input=private)
    assert pubkey(private).stdout == theirs


@pytest.mark.parametrize("content", ["", "nonsense", "\xff", b"\xff", "=" * 1000])
def test_what_is_no_private_key_is_refused_and_not_repeated(content: str | bytes) -> None:
    done = pubkey(content)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"error: standard input: holds no private key\nhint: ")
    assert b"nonsense" not in done.stderr


def test_a_half_key_is_not_repeated() -> None:
    private = PrivateKey.generate().to_base64()
    done = pubkey(private[:40])
    assert done.returncode == 1
    assert private[:8].encode() not in done.stderr
