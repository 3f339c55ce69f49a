from _typeshed import SupportsGetItem, SupportsLenAndGetItem
from ipaddress import IPv4Address, IPv6Address
from os import PathLike
from typing import Any, Final, SupportsFloat, SupportsIndex, final
from typing_extensions import disjoint_base

__all__ = ["NOISE_CONSTRUCTION", "NOISE_PROLOGUE", "__version__", "Capture", "Coordinator", "HandshakeCrowd", "HandshakeFlood", "HandshakeTally", "NatReport", "NoiseIkPsk2", "NoiseInitiator", "NoiseResponder", "NoiseTransport", "Packet", "Reassembler", "Relay", "RelayCounters", "Resolver", "SimCarrier", "SimConditions", "SimHome", "SimHost", "SimInternet", "SimSocket", "SystemDns", "Tun", "Tunnel", "TunnelEvent", "TunnelSnapshot", "WgQuickConfig", "WgQuickPeer", "WireGuard", "WireGuardPeer", "WireGuardState", "aead_backends", "check_noise_message", "measure_aead", "next_log_record", "noise_cookie_for_source", "noise_has_valid_mac1", "noise_has_valid_mac2", "noise_message_fields", "noise_open_cookie", "noise_seal_cookie", "noise_stamp", "parse_wg_quick", "pcapng_interface", "pcapng_packet", "pcapng_section_header", "restore_system_dns", "self_signed_certificate", "sim_first_difference", "sim_outlook", "start_logging", "stop_logging", "tai64n_after", "tai64n_exactly", "tai64n_unix", "x25519_key_pair"]

NOISE_CONSTRUCTION: Final[str]
"""
What Noise calls the construction of WireGuard's handshake.
"""

NOISE_PROLOGUE: Final[bytes]
"""
What Noise calls the prologue of WireGuard's handshake.
"""

__version__: Final[str]
"""
The version of the engine; the Python package carries the same one.
"""

@final
class Capture:
    """
    A running capture; `meshvpn.Capture` gives it names and documentation.
    """
    def close(self, /) -> None:
        """
        Ends it; everything is in the file when this returns.
        """
    @property
    def dropped(self, /) -> int:
        """
        Datagrams that should be in it and are not.
        """
    @property
    def failure(self, /) -> str | None:
        """
        Why it ended before it was told to.
        """
    @property
    def packets(self, /) -> int:
        """
        Datagrams in the file.
        """

@final
class Coordinator:
    """
    A running coordinator; `meshvpn.Coordinator` gives it names and documentation. Answers are JSON, as
    the REST API gives them.
    """
    def __new__(cls, /, config: str, *, netns: str | None) -> Coordinator:
        """
        Starts a coordinator from the text of a configuration file, in a network namespace if one is named.
        """
    def add_peer(self, /, peer: str) -> str:
        """
        A WireGuard peer of another make, from JSON as the REST API takes it.
        """
    def approve(self, /, node: str) -> str: ...
    def approve_routes(self, /, node: str, routes: SupportsGetItem[int, str]) -> str: ...
    def close(self, /) -> None:
        """
        Ends it; its port is free when it returns.
        """
    def create_key(self, /, key: str) -> str:
        """
        A new auth key, from JSON as the REST API takes it.
        """
    def expire(self, /, node: str, at: SupportsIndex | None) -> str:
        """
        Seconds since 1970; None: never.
        """
    def keys(self, /) -> str: ...
    def local_address(self, /) -> str:
        """
        Where it listens.
        """
    def mesh(self, /) -> str: ...
    def node(self, /, node: str) -> str: ...
    def nodes(self, /) -> str: ...
    def public_key(self, /) -> str:
        """
        The public key that nodes must know, in base64.
        """
    def remove(self, /, node: str) -> str: ...
    def rename(self, /, node: str, name: str) -> str: ...
    def revoke_key(self, /, key: str) -> str: ...
    def tag(self, /, node: str, tags: SupportsGetItem[int, str]) -> str: ...
    def url(self, /) -> str:
        """
        How nodes reach it: what the configuration says, or where it listens.
        """
    def verify(self, /, key: str) -> str:
        """
        Whether this node key belongs to a member.
        """

@final
class HandshakeCrowd:
    """
    Peers of a device, each with a key and an address of its own.
    """
    def __new__(cls, /, device: SupportsLenAndGetItem[SupportsIndex], to: str, first: str, size: SupportsIndex) -> HandshakeCrowd:
        """
        `device` is the device's public key, `to` where it listens ("192.0.2.1:51820"), `first` the address of
        the first of `size` peers. They live in the calling thread's network namespace.
        """
    def call(self, /) -> HandshakeTally:
        """
        Makes all calls that are ready; returns when each is answered or was dropped.
        """
    def prepare(self, /, count: SupportsIndex) -> None:
        """
        Makes `count` calls ready for each peer.
        """
    def public_keys(self, /) -> list[bytes]:
        """
        What the device has to know its peers by.
        """

@final
class HandshakeFlood:
    """
    Strangers that call a device at a fixed rate until they are stopped.
    """
    def __new__(cls, /, device: SupportsLenAndGetItem[SupportsIndex], to: str, first: str, per_second: SupportsIndex) -> HandshakeFlood:
        """
        Begins at once. The arguments are those of `HandshakeCrowd`, and the rate.
        """
    def stop(self, /) -> HandshakeTally | None:
        """
        Ends it; None when it has been ended before.
        """

@final
class HandshakeTally:
    """
    What was sent to a device, and what came back.
    """
    @property
    def cookies(self, /) -> int: ...
    @property
    def responses(self, /) -> int: ...
    @property
    def seconds(self, /) -> float:
        """
        From the first initiation to the last answer.
        """
    @property
    def sent(self, /) -> int: ...

@final
class NatReport:
    """
    What was found out about a NAT. None stands everywhere for: not found out.
    """
    @property
    def addresses(self, /) -> list[str]: ...
    @property
    def allocation(self, /) -> str | None:
        """
        "preserving", "sequential" or "random".
        """
    @property
    def filtering(self, /) -> str | None:
        """
        The same.
        """
    @property
    def hairpin(self, /) -> bool | None: ...
    @property
    def is_translated(self, /) -> bool | None: ...
    @property
    def mapped(self, /) -> str | None:
        """
        "203.0.113.5:40000"; none when UDP does not get through.
        """
    @property
    def mapping(self, /) -> str | None:
        """
        "endpoint-independent", "address-dependent" or "address-and-port-dependent".
        """
    @property
    def preserves_port(self, /) -> bool | None: ...
    @property
    def range(self, /) -> tuple[int, int, int] | None:
        """
        Of a random one: lowest and highest port seen, and how many there may be.
        """
    @property
    def round_trips(self, /) -> list[tuple[str, float]]:
        """
        Servers that answered, with seconds.
        """
    @property
    def sentence(self, /) -> str:
        """
        What it means, in a sentence.
        """
    @property
    def step(self, /) -> int | None:
        """
        Of a sequential allocation.
        """

@final
class NoiseIkPsk2:
    """
    The pattern beneath; `meshvpn.noise.IKpsk2` gives it names and documentation.
    """
    def __new__(cls, /, private_key: bytes, peer: SupportsLenAndGetItem[SupportsIndex] | None, *, prologue: bytes, preshared_key: bytes | None, ephemeral: bytes) -> NoiseIkPsk2:
        """
        An initiator's side when there is a `peer`.
        """
    @property
    def hash(self, /) -> bytes:
        """
        The hash of everything so far: 32 bytes.
        """
    @property
    def peer(self, /) -> bytes | None:
        """
        The peer's static key: 32 bytes.
        """
    def read(self, /, message: bytes) -> bytes:
        """
        The payload of the next message.
        """
    def reveal_secrets(self, /) -> list[tuple[str, bytes, bytes]]:
        """
        Token, hash and chaining key after each token so far.
        """
    def split(self, /, local_index: SupportsIndex, remote_index: SupportsIndex) -> NoiseTransport:
        """
        What comes after the last message.
        """
    def write(self, /, payload: bytes) -> bytes:
        """
        The next message.
        """

@final
class NoiseInitiator:
    """
    The side that begins; `meshvpn.noise.Initiator` gives it names and documentation.
    """
    def __new__(cls, /, private_key: bytes, peer: SupportsLenAndGetItem[SupportsIndex], *, preshared_key: bytes | None, ephemeral: bytes) -> NoiseInitiator: ...
    def finish(self, /, response: bytes, local_index: SupportsIndex) -> NoiseTransport:
        """
        Takes the answer; `local_index` is the sender of the first message.
        """
    def initiate(self, /, sender: SupportsIndex, timestamp: SupportsLenAndGetItem[SupportsIndex]) -> bytes:
        """
        The first message, whose MACs are zero.
        """
    def reveal_secrets(self, /) -> list[tuple[str, bytes, bytes]]:
        """
        Token, hash and chaining key after each token so far.
        """

@final
class NoiseResponder:
    """
    The side that answers; `meshvpn.noise.Responder` gives it names and documentation.
    """
    def __new__(cls, /, private_key: bytes, initiation: bytes) -> NoiseResponder:
        """
        Reads an initiation.
        """
    @property
    def peer(self, /) -> bytes:
        """
        Whose static key sealed the initiation: 32 bytes.
        """
    def respond(self, /, sender: SupportsIndex, *, preshared_key: bytes | None, ephemeral: bytes) -> tuple[bytes, NoiseTransport]:
        """
        The second message, whose MACs are zero, and what comes after it.
        """
    def reveal_secrets(self, /) -> list[tuple[str, bytes, bytes]]:
        """
        Token, hash and chaining key after each token so far.
        """
    @property
    def timestamp(self, /) -> bytes:
        """
        When the initiation was made: TAI64N, 12 bytes.
        """

@final
class NoiseTransport:
    """
    A session; `meshvpn.noise.Transport` gives it names and documentation.
    """
    @property
    def local_index(self, /) -> int:
        """
        By this number the peer names the session to us.
        """
    def open(self, /, message: bytes) -> bytes:
        """
        The packet in a data message, without its padding; what is no IP packet keeps it.
        """
    @property
    def remote_index(self, /) -> int:
        """
        By this number we name it to the peer.
        """
    def reveal_secrets(self, /) -> tuple[bytes, bytes]:
        """
        The keys for what we send and for what the peer sends, of 32 bytes.
        """
    def seal(self, /, plaintext: bytes, *, is_padded: bool) -> bytes:
        """
        The next data message.
        """
    @property
    def sent(self, /) -> int:
        """
        Messages sealed so far.
        """

@disjoint_base
class Packet:
    """
    An IP packet; `meshvpn.Packet` adds display.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __new__(cls, /, data: bytes, *, device: str | None = None, time_ns: SupportsIndex | None = None, direction: str | None = None, pieces: SupportsIndex | None = None) -> Packet: ...
    @property
    def checksum(self, /) -> str:
        """
        Verdict on the transport layer's checksum: "correct", "wrong", "absent" or "unverified".
        """
    @property
    def data(self, /) -> bytes:
        """
        The packet with all headers.
        """
    @property
    def defects(self, /) -> list[str]:
        """
        What is wrong with it, in words; empty for a sound packet.
        """
    @property
    def destination(self, /) -> IPv4Address | IPv6Address | None:
        """
        Destination address.
        """
    @property
    def destination_port(self, /) -> int | None:
        """
        Destination port of TCP and UDP.
        """
    @property
    def device(self, /) -> str | None:
        """
        The device it was seen on.
        """
    @property
    def direction(self, /) -> str | None:
        """
        "inbound" (to this host), "outbound" (from it) or None.
        """
    @property
    def dont_fragment(self, /) -> bool | None:
        """
        IPv4's "don't fragment".
        """
    @property
    def dscp(self, /) -> int | None:
        """
        Differentiated services code point, 0 to 63.
        """
    def echo_reply_data(self, /) -> bytes | None:
        """
        The echo reply to this packet, or None when it is no sound echo request.
        """
    @property
    def ecn(self, /) -> int | None:
        """
        Explicit congestion notification, 0 to 3.
        """
    @property
    def flow_label(self, /) -> int | None:
        """
        IPv6 flow label.
        """
    @property
    def fragment_id(self, /) -> int | None:
        """
        Identification of the datagram this is a fragment of.
        """
    @property
    def fragment_kind(self, /) -> str | None:
        """
        "first", "middle", "last" or "atomic"; None for a whole packet.
        """
    @property
    def fragment_offset(self, /) -> int | None:
        """
        Where in its datagram the fragment belongs, in bytes.
        """
    @property
    def header_checksum(self, /) -> str | None:
        """
        Verdict on IPv4's header checksum: "correct", "wrong" or None.
        """
    def hexdump(self, /) -> str:
        """
        The bytes as `hexdump -C` prints them.
        """
    @property
    def hop_limit(self, /) -> int | None:
        """
        Time to live, or hop limit.
        """
    @property
    def icmp_code(self, /) -> int | None:
        """
        Code of an ICMP or ICMPv6 message.
        """
    @property
    def icmp_identifier(self, /) -> int | None:
        """
        Identifier of a ping.
        """
    @property
    def icmp_mtu(self, /) -> int | None:
        """
        MTU that "fragmentation needed" or "packet too big" tells, in bytes.
        """
    @property
    def icmp_name(self, /) -> str | None:
        """
        Name of the ICMP type, such as "Echo Request".
        """
    @property
    def icmp_sequence(self, /) -> int | None:
        """
        Sequence number of a ping.
        """
    @property
    def icmp_type(self, /) -> int | None:
        """
        Type of an ICMP or ICMPv6 message.
        """
    def layer_tuples(self, /) -> list[tuple[str, str, int, int, list[tuple[str, str, Any, str, str | None]]]]:
        """
        The headers as (key, name, start, stop, fields), fields as (key, label, value, text, meaning).
        """
    @property
    def length(self, /) -> int:
        """
        Length in bytes of what the IP headers carry, the number that ping prints.
        """
    @property
    def payload(self, /) -> bytes:
        """
        The data that the last understood header carries.
        """
    @property
    def pieces(self, /) -> int | None:
        """
        Number of fragments it was put together from, or None.
        """
    @property
    def protocol(self, /) -> int | None:
        """
        Number of the upper protocol.
        """
    @property
    def protocol_name(self, /) -> str | None:
        """
        Name of the upper protocol, such as "TCP".
        """
    @property
    def source(self, /) -> IPv4Address | IPv6Address | None:
        """
        Source address.
        """
    @property
    def source_port(self, /) -> int | None:
        """
        Source port of TCP and UDP.
        """
    def summary(self, /) -> str:
        """
        One line: source -> destination | what it is | length of what the IP headers carry.
        """
    @property
    def tcp_acknowledgment(self, /) -> int | None:
        """
        TCP acknowledgment number.
        """
    @property
    def tcp_flags(self, /) -> set[str] | None:
        """
        The TCP flags that are set, such as "SYN".
        """
    @property
    def tcp_sequence(self, /) -> int | None:
        """
        TCP sequence number.
        """
    @property
    def tcp_window(self, /) -> int | None:
        """
        TCP window, unscaled.
        """
    @property
    def time_ns(self, /) -> int | None:
        """
        When it was seen, in nanoseconds since 1970 UTC.
        """
    @property
    def version(self, /) -> int | None:
        """
        4 or 6.
        """

@final
class Reassembler:
    """
    Puts fragments together; `meshvpn.Reassembler` gives it packets.
    """
    def __new__(cls, /, *, datagrams: SupportsIndex, bytes: SupportsIndex) -> Reassembler: ...
    def feed(self, /, data: bytes, now: SupportsFloat | SupportsIndex) -> tuple[tuple[bytes, int] | None, str | None]:
        """
        Takes a packet at `now` seconds on some steady clock.
        """

@final
class Relay:
    """
    A running relay; `meshvpn.Relay` gives it names and documentation.
    """
    def __new__(cls, /, listen: str, *, key: bytes, certificate: tuple[str, str] | None, verify_clients: str | None, rate: tuple[SupportsIndex, SupportsIndex] | None, netns: str | None) -> Relay:
        """
        Starts a relay: over TLS when a certificate, with its key, is given.
        """
    def certificate_sha256(self, /) -> bytes | None:
        """
        SHA-256 of its certificate, 32 bytes; None without TLS.
        """
    def close(self, /) -> None:
        """
        Ends the relay; its port is free when this returns.
        """
    def counters(self, /) -> RelayCounters: ...
    def local_address(self, /) -> tuple[str, int]:
        """
        Address and port that it listens at.
        """
    def public_key(self, /) -> bytes:
        """
        32 bytes.
        """

@final
class RelayCounters:
    """
    What a relay counted so far.
    """
    @property
    def clients(self, /) -> int:
        """
        Connected now.
        """
    @property
    def dropped_absent(self, /) -> int:
        """
        Packets dropped because their receiver was not connected.
        """
    @property
    def dropped_slow(self, /) -> int:
        """
        Packets dropped because their receiver was too slow.
        """
    @property
    def home_clients(self, /) -> int:
        """
        Of them, those whose home this relay is.
        """
    @property
    def logins(self, /) -> int: ...
    @property
    def received_bytes(self, /) -> int: ...
    @property
    def received_packets(self, /) -> int:
        """
        From clients.
        """
    @property
    def sent_bytes(self, /) -> int: ...
    @property
    def sent_packets(self, /) -> int:
        """
        Handed over to be written to clients.
        """

@final
class Resolver:
    """
    A running resolver; `meshvpn.dns.Resolver` gives it names and documentation.
    """
    def __new__(cls, /, domain: str, names: SupportsGetItem[int, tuple[str, SupportsGetItem[int, str]]], *, listen: SupportsGetItem[int, str], upstreams: SupportsGetItem[int, str] | None, resolv_conf: str | PathLike[str] | None, clients: SupportsGetItem[int, str], mark: SupportsIndex | None, netns: str | None) -> Resolver:
        """
        Starts a resolver. Without `upstreams`, whom the system asks by `resolv_conf`, which is its own file
        if it is none.
        """
    def addresses(self, /) -> list[str]:
        """
        Where it answers: "127.0.0.1:53".
        """
    def close(self, /) -> None:
        """
        Ends it; its sockets are closed when this returns.
        """
    def set_names(self, /, domain: str, names: SupportsGetItem[int, tuple[str, SupportsGetItem[int, str]]]) -> None:
        """
        Answers for these names from now on.
        """
    def set_upstreams(self, /, upstreams: SupportsGetItem[int, str]) -> None:
        """
        Asks these from now on.
        """
    def stats(self, /) -> tuple[int, int, int, int]:
        """
        Messages answered here, passed on, refused, failed.
        """

@final
class SimCarrier:
    """
    A carrier whose subscribers share an outer address.
    """

@final
class SimConditions:
    """
    What a link does to packets: times in seconds, probabilities from 0 to 1.
    """
    def __new__(cls, /, *, latency: SupportsFloat | SupportsIndex, jitter: SupportsFloat | SupportsIndex, loss: SupportsFloat | SupportsIndex, reordering: SupportsFloat | SupportsIndex, repetition: SupportsFloat | SupportsIndex, rate: SupportsIndex | None, queue: SupportsIndex, mtu: SupportsIndex) -> SimConditions: ...

@final
class SimHome:
    """
    A home's network, its routers, and what it takes to add hosts.
    """

@final
class SimHost:
    """
    A host and its first link.
    """

@final
class SimInternet:
    """
    The whole of it.
    """
    DISCOVERY_SOCKETS: Final[int]
    """
    How many sockets a discovery opens.
    """
    def __new__(cls, /, seed: SupportsIndex) -> SimInternet:
        """
        An empty internet; everything that happens in it follows from `seed`.
        """
    def add_host(self, /, home: SimHome, name: str) -> SimHost:
        """
        Another host at home.
        """
    def addresses(self, /, host: SimHost) -> list[str]:
        """
        A host's addresses.
        """
    def capture_host(self, /, host: SimHost) -> None:
        """
        Watches a host's link.
        """
    def capture_routers(self, /, home: SimHome) -> None:
        """
        Watches the links of a home's routers, both sides.
        """
    def carrier(self, /, name: str, kind: str, hairpin: bool, conditions: SimConditions) -> SimCarrier:
        """
        A carrier with a NAT of this kind.
        """
    def change_address(self, /, home: SimHome) -> bool:
        """
        The provider gives the home's router another address; false when it has none of its own.
        """
    def close(self, /, socket: SimSocket) -> None:
        """
        Closes a socket.
        """
    def digest(self, /) -> str:
        """
        BLAKE2s-256 of the log, in hex.
        """
    def discover(self, /, host: SimHost, servers: SupportsGetItem[int, str]) -> NatReport | None:
        """
        Finds out what the NAT before `host` does, which takes some seconds of virtual time.
        """
    def home(self, /, name: str, kind: str, conditions: SimConditions, has_ipv6: bool, carrier: SimCarrier | None) -> tuple[SimHome, SimHost]:
        """
        A home behind a NAT of this kind, with its first host.
        """
    def local_address(self, /, socket: SimSocket) -> str | None:
        """
        A socket's local address; of IPv4 if the host has one.
        """
    def log(self, /) -> str:
        """
        What has happened so far, line by line.
        """
    def mappings(self, /, home: SimHome) -> list[tuple[str, str, list[str]]]:
        """
        The mappings of the home's own router: protocol, inner, outer, remotes.
        """
    def move_host(self, /, host: SimHost, home: SimHome | None) -> None:
        """
        Moves a host's link to a home, or to the public network.
        """
    def now(self, /) -> float:
        """
        Seconds since the beginning.
        """
    def open(self, /, host: SimHost, port: SupportsIndex) -> SimSocket:
        """
        Opens a socket on a host; port 0 is any.
        """
    def pcapng(self, /) -> bytes:
        """
        What was captured: a file in the pcapng format.
        """
    def public_host(self, /, name: str, addresses: SupportsIndex, conditions: SimConditions) -> SimHost:
        """
        A host with so many public IPv4 addresses, and as many of IPv6.
        """
    def reboot(self, /, home: SimHome) -> None:
        """
        The home's router loses its mappings, as when the power was off.
        """
    def receive(self, /, socket: SimSocket) -> list[tuple[float, str, str, bytes]]:
        """
        What has come since the last call.
        """
    def run(self, /, time: SupportsFloat | SupportsIndex) -> None:
        """
        Lets so many seconds pass.
        """
    def send(self, /, socket: SimSocket, data: bytes, to: str, hops: SupportsIndex | None) -> None:
        """
        Sends a datagram, which may take `hops` hops.
        """
    def set_home_conditions(self, /, home: SimHome, conditions: SimConditions) -> None:
        """
        Changes the conditions of a home's line to its provider.
        """
    def set_host_conditions(self, /, host: SimHost, conditions: SimConditions) -> None:
        """
        Changes the conditions of a host's link.
        """
    def set_link(self, /, host: SimHost, is_up: bool) -> None:
        """
        Takes a host's link down, or up again.
        """
    def start_stun(self, /, host: SimHost) -> str:
        """
        Starts a STUN server on a host with two addresses; returns the first, with its port.
        """

@final
class SimSocket:
    """
    A UDP socket of a host.
    """

@final
class SystemDns:
    """
    A system that asks a resolver; `meshvpn.dns.SystemDns` gives it names and documentation.
    """
    def __new__(cls, /, resolvers: SupportsGetItem[int, str], domain: str, *, method: str, resolv_conf: str | PathLike[str] | None, networks: SupportsGetItem[int, str], interface: str | None, netns: str | None) -> SystemDns:
        """
        Tells the system to ask `resolvers`. `method` is "auto", "resolved" or "resolv.conf".
        """
    def restore(self, /) -> str | None:
        """
        Takes it back: what came of it, as `restore_system_dns` says it.
        """

@final
class Tun:
    """
    An open device; `meshvpn.Tun` gives it names and documentation.
    """
    def __new__(cls, /, name: str, *, addresses: SupportsGetItem[int, str], routes: SupportsGetItem[int, str], mtu: SupportsIndex | None, netns: str | None) -> Tun: ...
    def close(self, /) -> None:
        """
        Removes the device.
        """
    def fileno(self, /) -> int:
        """
        Readable while packets wait. Raises when the device is closed.
        """
    @property
    def mtu(self, /) -> int: ...
    @property
    def name(self, /) -> str: ...
    def receive(self, /, timeout: SupportsFloat | SupportsIndex | None) -> bytes | None:
        """
        The next packet; None when there is none in time. Raises when the device is closed.
        """
    def send(self, /, packet: bytes) -> None:
        """
        Gives the kernel a packet.
        """

@final
class Tunnel:
    """
    A running tunnel; `meshvpn.Tunnel` gives it names and documentation.
    """
    def __new__(cls, /, name: str, *, local: str, remote: str, key: bytes | None, addresses: SupportsGetItem[int, str], routes: SupportsGetItem[int, str], mtu: SupportsIndex | None, netns: str | None, mark: SupportsIndex | None, aead: str | None) -> Tunnel:
        """
        Starts a tunnel: sealed when a key is given, plain otherwise.
        """
    def capture(self, /, path: str | PathLike[str], *, secrets: bool) -> Capture:
        """
        Writes what goes over the network to a file; `secrets` are the keys that decrypt it.
        """
    def close(self, /) -> None:
        """
        Ends the tunnel; the device is gone when it returns.
        """
    def fileno(self, /) -> int:
        """
        Readable while events wait.
        """
    def next_event(self, /, timeout: SupportsFloat | SupportsIndex | None) -> TunnelEvent | None:
        """
        The oldest event not fetched yet; None when there is none in time.
        """
    def snapshot(self, /) -> TunnelSnapshot: ...
    def wait_until_up(self, /, timeout: SupportsFloat | SupportsIndex | None) -> bool:
        """
        Waits until the peer answers; true when it does.
        """

@final
class TunnelEvent:
    """
    Something that happened to a tunnel.
    """
    @property
    def at(self, /) -> float:
        """
        Seconds since 1970 UTC.
        """
    @property
    def failure(self, /) -> str | None: ...
    @property
    def kind(self, /) -> str:
        """
        "up", "down", "session", "path_mtu" or "closed".
        """
    @property
    def mtu(self, /) -> int | None: ...
    @property
    def path_mtu(self, /) -> int | None: ...

@final
class TunnelSnapshot:
    """
    What can be said of a tunnel at one moment.
    """
    @property
    def aead(self, /) -> str: ...
    @property
    def drops(self, /) -> list[tuple[str, int]]:
        """
        Drop reasons and how often, those that never happened included.
        """
    @property
    def failure(self, /) -> str | None: ...
    @property
    def mtu(self, /) -> int: ...
    @property
    def path_mtu(self, /) -> int: ...
    @property
    def phase(self, /) -> str:
        """
        "connecting", "up" or "closed".
        """
    @property
    def received_bytes(self, /) -> int: ...
    @property
    def received_packets(self, /) -> int:
        """
        From the network to the device.
        """
    @property
    def sent_bytes(self, /) -> int: ...
    @property
    def sent_packets(self, /) -> int:
        """
        From the device to the network: inner packets, their bytes.
        """
    @property
    def sessions(self, /) -> int: ...

@final
class WgQuickConfig:
    """
    A file's section `[Interface]`, and its peers.
    """
    @property
    def addresses(self, /) -> list[str]:
        """
        "10.0.0.1/24".
        """
    @property
    def dns(self, /) -> list[str]:
        """
        Addresses of name servers, and domains to search.
        """
    @property
    def hooks(self, /) -> list[tuple[str, str]]:
        """
        Field and command, such as ("PostUp", "ip rule add …"), by field.
        """
    @property
    def listen_port(self, /) -> int | None: ...
    @property
    def mark(self, /) -> int | None: ...
    @property
    def mtu(self, /) -> int | None: ...
    @property
    def peers(self, /) -> list[WgQuickPeer]: ...
    @property
    def private_key(self, /) -> bytes | None:
        """
        32 bytes.
        """
    @property
    def saves_config(self, /) -> bool: ...
    @property
    def table(self, /) -> str:
        """
        "auto", "off", or a routing table's number or name.
        """

@final
class WgQuickPeer:
    """
    A file's section `[Peer]`.
    """
    @property
    def allowed_ips(self, /) -> list[str]:
        """
        "10.0.0.0/8".
        """
    @property
    def endpoint(self, /) -> tuple[str, int] | None:
        """
        A host's name or address ("fe80::1%eth0" too), and a UDP port.
        """
    @property
    def persistent_keepalive(self, /) -> int | None:
        """
        Seconds; 0 is none.
        """
    @property
    def preshared_key(self, /) -> bytes | None: ...
    @property
    def public_key(self, /) -> bytes: ...

@final
class WireGuard:
    """
    A running device; `meshvpn.WireGuard` gives it names and documentation.
    """
    def __new__(cls, /, name: str, *, change: str, addresses: SupportsGetItem[int, str], routes: SupportsGetItem[int, str], mtu: SupportsIndex | None, is_up: bool, has_uapi: bool, netns: str | None, aead: str | None) -> WireGuard:
        """
        Starts a device. `change` is what it begins with, in the words of UAPI without `set=1`.
        """
    def capture(self, /, path: str | PathLike[str], *, secrets: bool) -> Capture:
        """
        Writes what goes over the network to a file; `secrets` are the keys that decrypt it.
        """
    def change(self, /, change: str) -> None:
        """
        Changes keys, ports and peers, in the words of UAPI without `set=1`: all of it or nothing.
        """
    def close(self, /) -> None:
        """
        Ends the device; it is gone when this returns.
        """
    def fileno(self, /) -> int:
        """
        Readable while events wait.
        """
    def next_event(self, /, timeout: SupportsFloat | SupportsIndex | None) -> TunnelEvent | None:
        """
        The oldest event not fetched yet; None when there is none in time.
        """
    def snapshot(self, /) -> TunnelSnapshot: ...
    def state(self, /) -> WireGuardState:
        """
        Its keys, ports and peers.
        """
    def wait_until_closed(self, /, timeout: SupportsFloat | SupportsIndex | None) -> bool:
        """
        Waits until the device is closed, by whomever; true when it is.
        """
    def wait_until_up(self, /, timeout: SupportsFloat | SupportsIndex | None) -> bool:
        """
        Waits until a handshake has succeeded; true when one has.
        """

@final
class WireGuardPeer:
    """
    What can be said of a peer at one moment.
    """
    @property
    def allowed_ips(self, /) -> list[str]:
        """
        "10.0.0.0/8".
        """
    @property
    def endpoint(self, /) -> str | None:
        """
        "192.0.2.1:51820".
        """
    @property
    def has_preshared_key(self, /) -> bool: ...
    @property
    def has_session(self, /) -> bool: ...
    @property
    def last_handshake(self, /) -> float | None:
        """
        Seconds since 1970 UTC.
        """
    @property
    def persistent_keepalive(self, /) -> int | None:
        """
        Seconds.
        """
    @property
    def public_key(self, /) -> bytes: ...
    @property
    def received_bytes(self, /) -> int: ...
    @property
    def sent_bytes(self, /) -> int: ...

@final
class WireGuardState:
    """
    What can be said of a device's keys, ports and peers at one moment.
    """
    @property
    def listen_port(self, /) -> int: ...
    @property
    def mark(self, /) -> int: ...
    @property
    def mtu(self, /) -> int: ...
    @property
    def peers(self, /) -> list[WireGuardPeer]: ...
    @property
    def public_key(self, /) -> bytes | None:
        """
        32 bytes; none before there is a private key.
        """

def aead_backends() -> list[tuple[str, bool, str]]:
    """
    Every backend: its name, whether it runs here, and a sentence about that.
    """

def check_noise_message(kind: SupportsIndex, data: bytes) -> None:
    """
    Refuses bytes that are no message of this kind.
    """

def measure_aead(backend: str, length: SupportsIndex, operation: str, seconds: SupportsFloat | SupportsIndex) -> float:
    """
    Nanoseconds a packet of `length` bytes; `operation` is "seal" or "open".
    """

def next_log_record() -> tuple[int, str, str] | None:
    """
    The next record as (level, logger, message); None once logging is stopped.
    """

def noise_cookie_for_source(secret: SupportsLenAndGetItem[SupportsIndex], source: str) -> bytes:
    """
    What a device with this secret gives to who sends from `source`.
    """

def noise_has_valid_mac1(data: bytes, receiver: SupportsLenAndGetItem[SupportsIndex]) -> bool:
    """
    Whether the sender knew the receiver's public key.
    """

def noise_has_valid_mac2(data: bytes, cookie: SupportsLenAndGetItem[SupportsIndex]) -> bool:
    """
    Whether the sender had this cookie.
    """

def noise_message_fields(kind: SupportsIndex) -> list[tuple[str, int, int | None]]:
    """
    The fields of messages that begin with `kind`.
    """

def noise_open_cookie(reply: bytes, receiver: SupportsLenAndGetItem[SupportsIndex], data: bytes) -> bytes:
    """
    The cookie that the owner of a public key answered a message with.
    """

def noise_seal_cookie(cookie: SupportsLenAndGetItem[SupportsIndex], receiver: SupportsLenAndGetItem[SupportsIndex], data: bytes, nonce: SupportsLenAndGetItem[SupportsIndex]) -> bytes:
    """
    The cookie, sealed by the owner of a public key as answer to a message.
    """

def noise_stamp(data: bytes, receiver: SupportsLenAndGetItem[SupportsIndex], cookie: SupportsLenAndGetItem[SupportsIndex] | None) -> bytes:
    """
    The message to the owner of a public key with both MACs written; mac2 is zero without a cookie.
    """

def parse_wg_quick(text: str) -> WgQuickConfig:
    """
    What the text of such a file says.
    """

def pcapng_interface(name: str) -> bytes:
    """
    The description of the next interface, counted from 0.
    """

def pcapng_packet(interface: SupportsIndex, time_ns: SupportsIndex, direction: str | None, data: bytes) -> bytes:
    """
    A packet seen on an interface.
    """

def pcapng_section_header(application: str) -> bytes:
    """
    The beginning of a file, which names the application that writes it.
    """

def restore_system_dns(*, resolv_conf: str | PathLike[str] | None, netns: str | None) -> str | None:
    """
    Takes back what a crash has left in the system's file. None, or what a person should know.
    """

def self_signed_certificate(host: str) -> tuple[str, str]:
    """
    A certificate that no authority vouches for, and its private key, both in PEM.
    """

def sim_first_difference(first: str, second: str) -> tuple[int, str | None, str | None] | None:
    """
    Where two logs part: the number of the line, and what each has there.
    """

def sim_outlook(a: str, b: str, same_lan: bool, both_ipv6: bool, same_carrier: bool | None) -> tuple[str, float, str]:
    """
    What can be expected of two nodes behind NATs of these kinds: "direct", "guessed" or "relayed", the odds, and
    in words.
    """

def start_logging() -> None:
    """
    Makes the engine log: records from now on are kept for `next_log_record`.
    """

def stop_logging() -> None:
    """
    Makes every present and later call of `next_log_record` return None.
    """

def tai64n_after(unix_ns: SupportsIndex, last: SupportsLenAndGetItem[SupportsIndex] | None) -> bytes:
    """
    What a device says at a time since 1970 UTC, when `last` is what it said last.
    """

def tai64n_exactly(unix_ns: SupportsIndex) -> bytes:
    """
    A time since 1970 UTC, exactly.
    """

def tai64n_unix(timestamp: SupportsLenAndGetItem[SupportsIndex]) -> tuple[int, int] | None:
    """
    Seconds since 1970 UTC and nanoseconds; None for what is no time since then.
    """

def x25519_key_pair(data: bytes) -> tuple[bytes, bytes]:
    """
    The private key that 32 bytes make, clamped, and its public key.
    """
