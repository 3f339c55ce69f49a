"""``wg-quick`` works unchanged with ``WG_QUICK_USERSPACE_IMPLEMENTATION=meshvpn-wg``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshvpn import Tunnel, WireGuardConfig
from tests.tunnel.pair import VERSIONS, ping
from tests.wireguard.daemon import environment, has_device, one_word, wait_until_gone
from tests.wireguard.ends import PORT, SOCKETS, Side, ours, sides

if TYPE_CHECKING:
    from meshvpn.pytest_plugin import TwoHosts

# Where the kernel has WireGuard itself, wg-quick takes no other.
_KERNEL = Path("/sys/module/wireguard").exists()
pytestmark = [
    pytest.mark.root,
    pytest.mark.needs("ping", "wg", "wg-quick"),
    pytest.mark.skipif(_KERNEL, reason="the kernel's WireGuard is loaded: rmmod wireguard"),
]


def write_file(folder: Path, near: Side, far: Side, allowed_ips: list[str], more: str = "") -> Path:
    file = folder / f"{near.device}.conf"
    file.touch(mode=0o600)
    file.write_text(
        f"[Interface]\nPrivateKey = {near.key.to_base64()}\nListenPort = {PORT}\n"
        f"Address = {', '.join(near.addresses)}\n{more}\n"
        f"[Peer]\nPublicKey = {far.key.public_key}\nEndpoint = {far.endpoint()}\n"
        f"AllowedIPs = {', '.join(allowed_ips)}\n"
    )
    return file


def addresses_of(side: Side) -> set[str]:
    """The device's addresses, without those that the kernel gives every device."""
    shown = side.host.run(["ip", "-brief", "address", "show", side.device]).stdout.split()[2:]
    return {address for address in shown if not address.startswith("fe80")}


def routes_of(side: Side) -> set[str]:
    """The networks that lead into the device."""
    shown = (side.host.run(["ip", version, "route"]).stdout for version in ("-4", "-6"))
    lines = [line for text in shown for line in text.splitlines() if side.device in line]
    return {line.split()[0] for line in lines}


@pytest.mark.parametrize("everything", [False, True], ids=["some_routes", "default_routes"])
def test_up_and_down(two_hosts: TwoHosts, tmp_path: Path, everything: bool) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    allowed = ["0.0.0.0/0", "::/0"] if everything else [*far.alone, "10.44.0.0/16"]
    file = write_file(tmp_path, near, far, allowed, f"PostUp = touch {tmp_path}/%i\nMTU = 1400")
    ours_instead = environment(WG_QUICK_USERSPACE_IMPLEMENTATION=str(one_word(tmp_path)))
    with ours(far, near):
        far.host.ip("address add 10.44.0.1/32 dev lo", "address add 192.0.2.1/32 dev lo")
        near.host.run(["wg-quick", "up", str(file)], env=ours_instead)
        assert (tmp_path / near.device).exists(), "wg-quick runs its hooks"
        assert "mtu 1400" in near.host.ip(f"link show {near.device}")
        for version in VERSIONS:
            assert ping(near, far, version)
            assert ping(far, near, version)
        if everything:
            near.host.run(["ping", "-c1", "-W2", "192.0.2.1"])
        else:
            assert f"10.44.0.0/16 dev {near.device}" in near.host.ip("route show")
        near.host.run(["wg-quick", "down", str(file)], env=ours_instead)
    wait_until_gone(near.device)
    assert not has_device(near.host, near.device)
    assert not (SOCKETS / f"{near.device}.sock").exists()


def test_python_takes_the_same_file_to_the_same_effect_without_its_hooks(
    two_hosts: TwoHosts, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = sides(two_hosts.a, two_hosts.b)
    hooks = f"PreUp = touch {tmp_path}/ran\nPostUp = touch {tmp_path}/ran\nDNS = 192.0.2.53"
    file = write_file(tmp_path, near, far, [*far.alone, "10.44.0.0/16"], hooks)
    implementation = environment(WG_QUICK_USERSPACE_IMPLEMENTATION=str(one_word(tmp_path)))
    plain = tmp_path / "other" / file.name
    plain.parent.mkdir()
    plain.touch(mode=0o600)
    plain.write_text(file.read_text().replace(hooks, ""))
    with ours(far, near):
        near.host.run(["wg-quick", "up", str(plain)], env=implementation)
        routes = routes_of(near)
        addresses = addresses_of(near)
        near.host.run(["wg-quick", "down", str(plain)], env=implementation)
        wait_until_gone(near.device)
        with Tunnel.wireguard(file, netns=near.host.netns) as device:
            assert device.name == near.device
            for version in VERSIONS:
                assert ping(near, far, version)
            assert routes_of(near) == routes
            assert addresses_of(near) == addresses == set(near.addresses)
    assert not (tmp_path / "ran").exists()
    assert f"commands of the file are not run: PreUp = touch {tmp_path}/ran" in caplog.text
    assert "DNS = 192.0.2.53" in caplog.text
    assert WireGuardConfig.from_file(file).dns == ("192.0.2.53",)
