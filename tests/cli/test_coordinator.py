"""``meshvpn coordinator`` as people and scripts have it."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import MESHVPN, PATIENCE_SECONDS, meshvpn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A coordinator that runs, and how the other commands find it."""
    state = tmp_path / "state"
    process = subprocess.Popen(
        [*MESHVPN, "coordinator", "run", "--listen", "127.0.0.1:0", "--state", str(state)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("coordinator at http://127.0.0.1:"), line
    assert ", public key " in line
    yield {
        "MESHVPN_COORDINATOR": line.split()[2].rstrip(","),
        "MESHVPN_API_TOKEN_FILE": str(state / "api-token"),
        "COLUMNS": "200",
    }
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, log
    assert "coordinator started" in log
    assert (state / "api-token").read_text().strip() not in log


def test_nodes_and_keys_are_seen_to(environment: dict[str, str]) -> None:
    def run(*arguments: str) -> str:
        done = meshvpn("coordinator", *arguments, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "There is no node." in run("nodes")
    assert "There is no auth key." in run("keys")
    key = run("keys", "create", "--reusable", "--tag", "ci", "--in", "12h").strip()
    assert key.startswith("meshkey_")
    name = key.split("_")[1]
    listed = run("keys")
    assert name in listed
    assert key not in listed
    [shown] = json.loads(run("keys", "--json"))
    assert (shown["id"], shown["tags"], shown["secret"]) == (name, ["ci"], None)
    assert "revoked" in run("keys", "revoke", name)
    assert "nodes       0, 0 of them online" in run("status")
    assert json.loads(run("status", "--json"))["domain"] == "mesh.internal"
    assert json.loads(run("nodes", "--json")) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nodes", "approve", "nobody"), 'no node is called "nobody"'),
        (("keys", "create", "--in", "soon"), "--in: 'soon' is no time"),
        (("keys", "--url", "ftp://x"), "url: 'ftp://x' is not where a coordinator is"),
        (("keys", "--token-file", "/nonexistent"), "--token-file: /nonexistent: No such file"),
        (("run", "--listen", "x", "--config", "y"), "--listen and --config at once"),
        (("run", "--listen", "x"), 'listen: "x" is not IP:PORT'),
    ],
)
def test_what_is_wrong_is_said(
    environment: dict[str, str], arguments: tuple[str, ...], message: str
) -> None:
    done = meshvpn("coordinator", *arguments, **environment)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_who_is_not_there_does_not_answer(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("x")
    done = meshvpn(*("coordinator", "status", "--url", "http://127.0.0.1:9", "--token-file", token))
    assert done.returncode == 1
    assert "no answer from http://127.0.0.1:9" in done.stderr
