//! `meshvpn._meshvpn`: the engine as Python sees it.
//!
//! Bindings translate and nothing else. Names, documentation, exceptions and display live in the
//! Python package `meshvpn`, which is the only importer of this module.
//!
//! | module | holds |
//! |---|---|
//! | `tunnel`, `wireguard`, `tun` | running tunnels and devices |
//! | `relay` | running relays |
//! | `coordinator` | running coordinators |
//! | `packet`, `reassembler`, `capture` | packets for people, fragments, capture files |
//! | `wg_quick` | files of `wg-quick` |
//! | `dns` | the resolver, and the system that asks it |
//! | `aead` | the ciphers and their speed |
//! | `callers` | load for a WireGuard device |
//! | `nat`, `sim` | what NATs do, and a simulated internet with every kind of them |
//! | `keys` | private and public keys |
//! | `noise` | the WireGuard handshake by hand |
//! | `log` | records for Python's `logging` |
//! | `errors` | the engine's errors as the package's exceptions |
//! | `config` | addresses as Python writes them |

mod aead;
mod callers;
mod capture;
mod config;
mod coordinator;
mod dns;
mod errors;
mod keys;
mod log;
mod nat;
mod noise;
mod packet;
mod reassembler;
mod relay;
mod sim;
mod tun;
mod tunnel;
mod wait;
mod wg_quick;
mod wireguard;

use pyo3::prelude::*;

#[pymodule]
mod _meshvpn {
    #[pymodule_export]
    use crate::aead::{aead_backends, measure_aead};
    #[pymodule_export]
    use crate::callers::{HandshakeCrowd, HandshakeFlood, HandshakeTally};
    #[pymodule_export]
    use crate::capture::{Capture, pcapng_interface, pcapng_packet, pcapng_section_header};
    #[pymodule_export]
    use crate::coordinator::Coordinator;
    #[pymodule_export]
    use crate::dns::{Resolver, SystemDns, restore_system_dns};
    #[pymodule_export]
    use crate::keys::x25519_key_pair;
    #[pymodule_export]
    use crate::log::{next_log_record, start_logging, stop_logging};
    #[pymodule_export]
    use crate::nat::NatReport;
    #[pymodule_export]
    use crate::noise::cookie::{
        noise_cookie_for_source, noise_has_valid_mac1, noise_has_valid_mac2, noise_open_cookie,
        noise_seal_cookie, noise_stamp,
    };
    #[pymodule_export]
    use crate::noise::handshake::{NoiseIkPsk2, NoiseInitiator, NoiseResponder};
    #[pymodule_export]
    use crate::noise::messages::{check_noise_message, noise_message_fields};
    #[pymodule_export]
    use crate::noise::tai64n::{tai64n_after, tai64n_exactly, tai64n_unix};
    #[pymodule_export]
    use crate::noise::transport::NoiseTransport;
    #[pymodule_export]
    use crate::packet::Packet;
    #[pymodule_export]
    use crate::reassembler::Reassembler;
    #[pymodule_export]
    use crate::relay::{Relay, RelayCounters, self_signed_certificate};
    #[pymodule_export]
    use crate::sim::{SimCarrier, SimConditions, SimHome, SimHost, SimInternet, SimSocket};
    #[pymodule_export]
    use crate::sim::{sim_first_difference, sim_outlook};
    #[pymodule_export]
    use crate::tun::Tun;
    #[pymodule_export]
    use crate::tunnel::{Tunnel, TunnelEvent, TunnelSnapshot};
    #[pymodule_export]
    use crate::wg_quick::{WgQuickConfig, WgQuickPeer, parse_wg_quick};
    #[pymodule_export]
    use crate::wireguard::{WireGuard, WireGuardPeer, WireGuardState};

    /// The version of the engine; the Python package carries the same one.
    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python's name for a version")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// What Noise calls the construction of WireGuard's handshake.
    #[pymodule_export]
    const NOISE_CONSTRUCTION: &str = meshvpn_proto::noise::CONSTRUCTION;

    /// What Noise calls the prologue of WireGuard's handshake.
    #[pymodule_export]
    const NOISE_PROLOGUE: &[u8] = meshvpn_proto::noise::PROLOGUE;
}
