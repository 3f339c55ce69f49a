"""``meshvpn relay``: what scripts read of it, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request

from tests.cli.command import MESHVPN, PATIENCE_SECONDS, meshvpn


def test_it_says_where_it_is_and_what_it_has_done() -> None:
    arguments = ("relay", "--listen", "127.0.0.1:0", "--self-signed", "--json")
    pipe = subprocess.PIPE
    with subprocess.Popen([*MESHVPN, *arguments], stdout=pipe, stderr=pipe, text=True) as relay:
        assert relay.stdout is not None
        told = json.loads(relay.stdout.readline())
        assert told["url"].startswith("https://127.0.0.1:")
        assert len(told["certificate_sha256"]) == 64
        relay.send_signal(signal.SIGTERM)
        output, remarks = relay.communicate(timeout=PATIENCE_SECONDS)
    assert relay.returncode == 0, remarks
    assert json.loads(output)["clients"] == 0
    assert "relay started" in remarks


def test_it_answers_and_logs_for_people() -> None:
    arguments = ("relay", "--listen", "127.0.0.1:0")
    with subprocess.Popen([*MESHVPN, *arguments], stderr=subprocess.PIPE, text=True) as relay:
        assert relay.stderr is not None
        line = next(line for line in relay.stderr if line.startswith("relay at http://"))
        url = line.removeprefix("relay at ").partition(",")[0]
        with urllib.request.urlopen(f"{url}/derp/probe", timeout=PATIENCE_SECONDS) as answer:
            assert answer.status == 200
        relay.send_signal(signal.SIGINT)
        relay.stderr.read()
    assert relay.returncode == 0


def test_what_it_cannot_use_is_told_with_a_way_out() -> None:
    refused = meshvpn("relay", "--listen", "127.0.0.1:0", "--tls-cert", "/nowhere/cert.pem")
    assert refused.returncode == 1
    assert "certificate_key: missing" in refused.stderr
    assert "hint:" in refused.stderr
