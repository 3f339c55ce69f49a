//! What each fuzz target does with its bytes. A target panics when a promise is broken.
//!
//! To add one: a function `fn(&[u8])`, its line in [`TARGETS`], a wrapper in `fuzz_targets/` with
//! its `[[bin]]`, and seeds in `corpus/<name>/`. A test of meshvpn-proto, which compiles this
//! file too, says what is missing and replays the corpora.

mod config;
mod control;
mod dns;
mod forward;
mod nat;
mod packet;
mod relay;
mod tunnel;
mod wireguard;

/// What is done with the bytes of one try.
pub type Target = fn(&[u8]);

/// Every target by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("control_channel", control::channel),
    ("control_client", control::client),
    ("control_message", control::message),
    ("data_message", tunnel::data_message),
    ("dns_forward", dns::forward),
    ("dns_question", dns::question),
    ("handshake_message", wireguard::message),
    ("hello", tunnel::hello),
    ("inbound_datagram", forward::inbound_datagram),
    ("outbound_frame", forward::outbound_frame),
    ("packet_parse", packet::parse),
    ("packet_reassemble", packet::reassemble),
    ("packet_too_big", packet::too_big),
    ("pcapng", packet::pcapng),
    ("probe", tunnel::probe),
    ("relay_client", relay::client),
    ("relay_frame", relay::frame),
    ("relay_server", relay::server),
    ("resolv_conf", dns::resolv_conf),
    ("split_join", forward::split_join),
    ("stun", nat::stun),
    ("uapi", config::uapi),
    ("wg_quick", config::wg_quick),
    ("wireguard", wireguard::devices),
];

/// Runs the target `name` on `data`.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS
        .iter()
        .find(|(known, _)| *known == name)
        .expect("a known target");
    target(data);
}
