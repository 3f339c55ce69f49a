"""``meshvpn lab`` shows labs and removes only those of the dead."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("typer", reason="the command line needs the extra 'cli'")

from typer.testing import CliRunner

from meshvpn.cli.lab import app

if TYPE_CHECKING:
    from meshvpn.lab import Lab

pytestmark = pytest.mark.root


def test_list_shows_the_labs_of_this_process(lab: Lab) -> None:
    host = lab.host("alice")
    shown = CliRunner().invoke(app, ["list"], env={"COLUMNS": "160"})
    assert shown.exit_code == 0
    assert host.netns in shown.output
    assert "in use" in shown.output
    records = json.loads(CliRunner().invoke(app, ["list", "--json"]).output)
    (own,) = (record for record in records if host.netns in record["namespaces"])
    assert own["process"] == os.getpid()
    assert own["alive"] is True


def test_clean_leaves_labs_in_use_alone(lab: Lab) -> None:
    host = lab.host("alice")
    done = CliRunner().invoke(app, ["clean"])
    assert done.exit_code == 0
    assert host.netns not in done.output
    assert host.path.exists()
