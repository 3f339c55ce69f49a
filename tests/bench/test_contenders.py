"""Who takes part is what ``--only`` and ``--peer`` say; who cannot is told how."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshvpn.bench.contenders import all_contenders, choose
from meshvpn.bench.contenders.contender import DaemonPair
from meshvpn.bench.contenders.nebula import Nebula
from meshvpn.bench.contenders.wireguard import WireGuard
from meshvpn.bench.processes import Program
from meshvpn.errors import ConfigError, MissingProgramError

if TYPE_CHECKING:
    from pathlib import Path

    from meshvpn.bench.contenders import Contender


def names(contenders: tuple[Contender, ...]) -> list[str]:
    return [contender.name for contender in contenders]


def program(contender: Contender) -> str:
    assert isinstance(contender, DaemonPair)
    return contender.program.command[0]


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """An executable that could be anybody's newer build."""
    file = tmp_path / "newer"
    file.write_text("#!/bin/sh\necho version 9.8.7-rc1\n")
    file.chmod(0o755)
    return file


def test_names_are_unique() -> None:
    assert len(set(names(all_contenders()))) == len(all_contenders())


def test_everybody_takes_part_unless_told_otherwise() -> None:
    assert choose() == all_contenders()


def test_only_takes_names_and_families() -> None:
    assert names(choose(["none", "preshared"])) == [
        "none",
        "preshared-aws-lc",
        "preshared-ipsec-mb",
    ]


def test_our_wireguard_is_told_apart_by_its_aead() -> None:
    chosen = choose(["wireguard"])
    assert names(chosen) == ["wireguard-aws-lc", "wireguard-ipsec-mb"]
    programs = [one.program for one in chosen if isinstance(one, WireGuard)]
    assert [program.command[-1] for program in programs] == ["wg", "wg"]


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="telnet") as refused:
        choose(["telnet"])
    assert "openvpn" in str(refused.value.hint)


def test_a_peer_takes_the_place_of_its_whole_family(build: Path) -> None:
    chosen = choose(["nebula"], [f"nebula={build}"])
    assert names(chosen) == ["nebula", "nebula-big"]
    assert {program(contender) for contender in chosen} == {str(build)}


def test_a_labelled_peer_runs_beside_the_installed_one(build: Path) -> None:
    chosen = choose(["wireguard-go"], [f"wireguard-go@new={build}"])
    assert names(chosen) == ["wireguard-go", "wireguard-go@new"]
    assert [program(contender) for contender in chosen] == ["wireguard-go", str(build)]
    assert chosen[1].version() == "9.8.7-rc1"


def test_a_nebula_build_brings_its_own_certificate_tool(build: Path) -> None:
    build.with_name("nebula-cert").touch()
    (chosen,) = choose(["nebula@new"], [f"nebula@new={build}"])[:1]
    assert isinstance(chosen, Nebula)
    assert chosen.tools[0].command == (str(build.with_name("nebula-cert")),)


@pytest.mark.parametrize("peer", ["openvpn", "openvpn=", "=x", "openvpn=/no/such/file"])
def test_a_peer_that_is_none_is_refused(peer: str) -> None:
    with pytest.raises(ConfigError, match="--peer"):
        choose([], [peer])


def test_the_bare_wire_cannot_be_replaced(build: Path) -> None:
    with pytest.raises(ConfigError, match="runs no program"):
        choose([], [f"none={build}"])


def test_a_missing_program_names_its_package() -> None:
    absent = Nebula(program=Program(("nebula-that-is-not-there",), "nebula"))
    with pytest.raises(MissingProgramError) as missing:
        absent.check_available()
    assert missing.value.hint == "apt-get install nebula"


def test_a_missing_program_that_cargo_installs_names_its_crate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    (absent,) = choose(["gotatun"])
    with pytest.raises(MissingProgramError) as missing:
        absent.check_available()
    assert missing.value.hint == "cargo install gotatun-cli"
