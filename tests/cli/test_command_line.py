"""The command as a whole: help, version, errors and exit statuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import meshvpn as package
from tests.cli.command import MESHVPN, meshvpn

COMMANDS = ("demo", "sniff", "tunnel", "wg", "genpsk", "genkey", "pubkey", "relay", "bench", "lab")


def test_the_version_is_the_package_s() -> None:
    done = meshvpn("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{package.__version__}\n", "")


def test_the_script_beside_the_interpreter_is_the_same_command() -> None:
    script = Path(sys.executable).with_name("meshvpn")
    assert subprocess.check_output([script, "--version"], text=True) == meshvpn("--version").stdout


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ()])
def test_help_names_every_command(arguments: tuple[str, ...]) -> None:
    done = meshvpn(*arguments)
    assert done.returncode == (0 if arguments else 2)
    for command in COMMANDS:
        assert f"│ {command}  " in done.stdout


@pytest.mark.parametrize("command", [*COMMANDS, "tunnel plain", "tunnel preshared", "lab list"])
def test_every_command_has_help(command: str) -> None:
    done = meshvpn(*command.split(), "--help")
    assert done.returncode == 0
    assert f"Usage: meshvpn {command} " in done.stdout
    assert "--help" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["snif"], "Did you mean 'sniff'?"),
        (["sniff"], "Missing argument 'NAME'"),
        (["sniff", "mesh0", "--colour"], "No such option"),
        (["sniff", "mesh0", "--hex", "--json"], "leave --hex out"),
        (["tunnel", "plain", "mesh0", "--local", "127.0.0.1:1"], "Missing option '--remote'"),
        (["tunnel", "preshared", "mesh0", "--mtu", "12"], "'--mtu'"),
        (["tunnel", "plain", "mesh0", "--mtu", "١٤٠٠"], "is not a whole number from 68 to 65535"),
        (["tunnel", "plain", "mesh0", "--mtu", "+1400"], "'+1400' is not a whole number"),
        (["tunnel", "plain", "mesh0", "--mark", "9" * 5000], "from 1 to 4294967295"),
        (["sniff", "mesh0", "--count", "1_000"], "'1_000' is not a whole number"),
        (["bench", "--seconds", "3601"], "'3601' is not a whole number from 1 to 3600"),
        (["bench", "--rounds", "0"], "'0' is not a whole number from 1 to 1000"),
        (["bench", "--aead", "--output", "file"], "use --json > FILE"),
    ],
)
def test_a_command_line_without_sense_is_status_2(arguments: list[str], complaint: str) -> None:
    done = meshvpn(*arguments, COLUMNS="200")
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stdout == ""


ENDPOINTS = ["--local", "127.0.0.1:7000", "--remote", "127.0.0.1:7001"]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["sniff", "mesh0", "--address", "10.0.0.256/24"], "address"),
        (["sniff", "mesh0", "--route", "everywhere"], "route"),
        (["sniff", "a-very-long-device-name"], "device name"),
        (["sniff", b"mesh\xff"], r"device name 'mesh\udcff'"),
        (["sniff", "me\x1b[31m"], r"device name 'me\x1b[31m'"),
        (["sniff", "mesh0", "--netns", b"a\xff"], r"netns: 'a\udcff'"),
        (["sniff", "mesh0", "--address", "10.0.0.1/+24"], "address: '10.0.0.1/+24'"),
        (["tunnel", "plain", b"\xff", *ENDPOINTS], r"device name '\udcff'"),
        (["tunnel", "preshared", "mesh0", *ENDPOINTS, "--key-file", "/dev/zero"], "key file /dev"),
        (["tunnel", "plain", "mesh0", *ENDPOINTS, "--local", "127.0.0.1"], "local"),
        (["tunnel", "plain", "mesh0", *ENDPOINTS, "--remote", "example.org:7000"], "remote"),
        (["tunnel", "preshared", "mesh0", *ENDPOINTS, "--key-file", "missing"], "key file"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(arguments: list[str | bytes], field: str) -> None:
    done = meshvpn(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {field}")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_traceback_is_there_for_those_who_want_it() -> None:
    wrong = ("tunnel", "plain", "mesh0", *ENDPOINTS, "--local", "x")
    assert "Traceback" in meshvpn(*wrong, MESHVPN_DEBUG="1").stderr
    assert "Traceback" in meshvpn(*wrong, "-v").stderr


@pytest.mark.parametrize(
    "arguments", [["sniff", "mesh0"], ["tunnel", "plain", "mesh0", *ENDPOINTS]]
)
@pytest.mark.needs("setpriv")
def test_missing_rights_are_named(arguments: list[str]) -> None:
    without_rights = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]
    if os.geteuid() != 0:
        without_rights = []
    done = subprocess.run(
        [*without_rights, *MESHVPN, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "CAP_NET_ADMIN" in done.stderr
    assert "sudo" in done.stderr


def test_without_typer_the_command_says_how_to_get_it() -> None:
    program = (
        "import sys; sys.modules['typer'] = None; sys.argv = ['meshvpn', 'genpsk']\n"
        "from meshvpn.cli import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "'typer'" in done.stderr
    assert "pip install 'meshvpn-engine[cli]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_tunnel_s_process_does_not_keep_what_read_its_command_line() -> None:
    program = (
        "import sys; sys.argv = ['meshvpn', 'tunnel', 'plain', 'mesh0',"
        " '--local', 'nonsense', '--remote', '127.0.0.1:7001']\n"
        "from meshvpn.cli import main; print(main(), sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("1 ")
    assert "'meshvpn.tunnel'" in done.stdout
    for unwanted in ("typer", "rich", "asyncio", "hmac"):
        assert f"'{unwanted}'" not in done.stdout


@pytest.mark.parametrize(
    "arguments", [["genpsk"], ["lab", "list", "--json"], ["--help"], ["tunnel", "--help"]]
)
def test_a_reader_that_has_left_gets_no_traceback(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*MESHVPN, *arguments], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("arguments", [["genpsk"], ["lab", "list"], ["tunnel", "--help"]])
def test_streams_may_be_closed(arguments: list[str]) -> None:
    for closed in ("0<&- 1>&-", "0<&- 1>&- 2>&-"):
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {closed}', "sh", *MESHVPN, *arguments],
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "moment"),
    [
        (["genpsk"], "meshvpn.errors"),
        (["genpsk"], "typer"),
        (["genpsk"], "meshvpn.cli.genpsk"),
        (["bench", "--aead"], "rich.progress"),
        (["sniff", "mesh0"], "meshvpn._meshvpn"),
        (["tunnel", "plain", "mesh0", *ENDPOINTS], "meshvpn.tunnel"),
        (["tunnel", "plain", "mesh0", *ENDPOINTS], "typer"),
    ],
)
def test_ctrl_c_while_it_starts_ends_it_without_a_traceback(
    arguments: list[str], moment: str
) -> None:
    program = f"""
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {moment!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
from meshvpn.cli import main
sys.argv = ["meshvpn", *{arguments!r}]
sys.exit(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
