//! The configuration file: YAML, every field with a default.
//!
//! ```yaml
//! listen: 0.0.0.0:8080              # one port for nodes, administrators and monitoring
//! url: http://203.0.113.1:8080      # how nodes reach it; only shown to people
//! tls:                              # without it, the REST API answers this machine alone
//!   certificate: /etc/meshvpn/coordinator.crt
//!   key: /etc/meshvpn/coordinator.pem
//! state: /var/lib/meshvpn/coordinator
//! domain: mesh.internal             # what names of nodes end with
//! networks: [100.64.0.0/10, fd12:3456:789a::/64]
//! allow: all                        # whether nodes may send each other anything; `none` by default
//! join: key                         # or `ask`: machines without an auth key wait for approval
//! key_lifetime: 180d                # after which a node must join again; never by default
//! ephemeral_timeout: 5m             # how long an ephemeral node may be away
//! attempts_per_minute: 10           # failed log-ins that one address may have
//! instance: main                    # its name among coordinators that share a store
//! relay: eu                         # serve a relay on the same port, for this region
//! relays:                           # others
//!   - region: eu
//!     url: https://relay.example
//!     certificate_sha256: 9f86d0…   # where no authority vouches for its certificate
//!     stun_port: 3478
//! ```

use core::fmt::Display;
use core::net::SocketAddr;
use core::time::Duration;
use std::path::PathBuf;

use meshvpn_proto::control::map::{Relay, RelayId};
use meshvpn_proto::route::Prefix;
use serde::Deserialize;

use super::config::Config;

/// Where the state lies unless the file says otherwise.
const DEFAULT_STATE: &str = "/var/lib/meshvpn/coordinator";
/// All addresses; the port is the alternative one for HTTP.
const DEFAULT_LISTEN: &str = "0.0.0.0:8080";

/// What a configuration file says.
#[derive(Debug, Clone)]
pub struct FileConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How nodes reach it, where that is not where it listens.
    pub url: Option<String>,
    /// Its certificate; plain HTTP without one.
    pub tls: Option<TlsFiles>,
    /// The region of the relay that it serves on the same port; none when it serves none.
    pub relay: Option<String>,
    /// The directory of its state.
    pub state: PathBuf,
    /// How it decides.
    pub coordinator: Config,
}

/// Where the certificate lies, in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate, with those that lead to its authority after it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What is wrong with a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Not YAML, or not with these fields.
    #[error("{0}")]
    Syntax(String),
    /// A value that means nothing.
    #[error("{field}: {value:?} {text}")]
    Value {
        /// Which field.
        field: String,
        /// What it is.
        value: String,
        /// What is wrong with it, and the way out.
        text: String,
    },
}

#[derive(Deserialize, Default)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "expected the fields of a coordinator's configuration"
)]
struct File {
    listen: Option<String>,
    url: Option<String>,
    tls: Option<TlsFiles>,
    relay: Option<String>,
    state: Option<PathBuf>,
    domain: Option<String>,
    networks: Option<Vec<String>>,
    allow: Option<String>,
    join: Option<String>,
    key_lifetime: Option<String>,
    ephemeral_timeout: Option<String>,
    attempts_per_minute: Option<u32>,
    instance: Option<String>,
    relays: Vec<RelayEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RelayEntry {
    id: Option<u32>,
    region: String,
    url: String,
    #[serde(default)]
    certificate_sha256: Option<String>,
    #[serde(default)]
    stun_port: Option<u16>,
}

impl FileConfig {
    /// Reads a file; an empty one has all defaults.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        let file = if text.trim().is_empty() {
            File::default()
        } else {
            serde_yaml::from_str(text).map_err(|error| FileError::Syntax(error.to_string()))?
        };
        let defaults = Config::default();
        let listen = file.listen.as_deref().unwrap_or(DEFAULT_LISTEN);
        let seconds = |field, text: Option<String>| -> Result<Option<Duration>, FileError> {
            text.map(|text| duration(field, &text)).transpose()
        };
        let coordinator = Config {
            instance: file.instance.unwrap_or(defaults.instance),
            domain: domain(file.domain.unwrap_or(defaults.domain))?,
            networks: networks(file.networks.unwrap_or_default())?,
            allow_all: choice("allow", file.allow.as_deref(), ["none", "all"])?,
            is_open: choice("join", file.join.as_deref(), ["key", "ask"])?,
            relays: relays(file.relays)?,
            key_lifetime: seconds("key_lifetime", file.key_lifetime)?,
            ephemeral_timeout: seconds("ephemeral_timeout", file.ephemeral_timeout)?
                .unwrap_or(defaults.ephemeral_timeout),
            attempts_per_minute: file
                .attempts_per_minute
                .unwrap_or(defaults.attempts_per_minute),
        };
        let listen: SocketAddr = listen
            .parse()
            .map_err(|_| wrong("listen", listen, "is not IP:PORT; write 0.0.0.0:8080"))?;
        if let (Some(region), None, true) = (&file.relay, &file.url, listen.ip().is_unspecified()) {
            let text = format!("needs `url`: nodes cannot find a relay at {listen}");
            return Err(wrong("relay", region, text));
        }
        Ok(Self {
            listen,
            url: file.url,
            tls: file.tls,
            relay: file.relay,
            state: file.state.unwrap_or_else(|| DEFAULT_STATE.into()),
            coordinator,
        })
    }
}

fn wrong(field: impl Display, value: impl Display, text: impl Display) -> FileError {
    FileError::Value {
        field: field.to_string(),
        value: value.to_string(),
        text: text.to_string(),
    }
}

/// True for the second of two words; the first is the default.
fn choice(field: &str, value: Option<&str>, words: [&str; 2]) -> Result<bool, FileError> {
    let [off, on] = words;
    match value {
        None => Ok(false),
        Some(value) if value == off => Ok(false),
        Some(value) if value == on => Ok(true),
        Some(value) => Err(wrong(field, value, format!("is neither {off} nor {on}"))),
    }
}

fn domain(domain: String) -> Result<String, FileError> {
    let is_inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(is_inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if domain.len() < 190 && domain.split('.').all(is_label) {
        return Ok(domain);
    }
    let text = "is not a domain; write labels of a-z, 0-9 and - with dots between: mesh.internal";
    Err(wrong("domain", domain, text))
}

fn networks(texts: Vec<String>) -> Result<Vec<Prefix>, FileError> {
    let mut networks: Vec<Prefix> = Vec::new();
    for text in texts {
        let network: Prefix = text
            .parse()
            .map_err(|error| wrong("networks", &text, error))?;
        let same = |other: &&Prefix| other.address().is_ipv4() == network.address().is_ipv4();
        if let Some(other) = networks.iter().find(same) {
            let text = format!(
                "is one of two of its kind, the other is {other}; give one of IPv4 and one of IPv6"
            );
            return Err(wrong("networks", network, text));
        }
        networks.push(network);
    }
    Ok(networks)
}

fn relays(entries: Vec<RelayEntry>) -> Result<Vec<Relay>, FileError> {
    let mut relays: Vec<Relay> = Vec::new();
    for (number, entry) in (1..).zip(entries) {
        let field = |name: &str| format!("relays[{}].{name}", number - 1);
        let id = RelayId(entry.id.unwrap_or(number));
        if relays.iter().any(|relay| relay.id == id) {
            let text = "is another relay's number already";
            return Err(wrong(field("id"), id, text));
        }
        let has_host = |url: &str, scheme| {
            let host = url.strip_prefix(scheme);
            host.is_some_and(|host| !host.trim_matches('/').is_empty())
        };
        if !has_host(&entry.url, "https://") && !has_host(&entry.url, "http://") {
            let text = "is not where a relay is; write https://relay.example";
            return Err(wrong(field("url"), entry.url, text));
        }
        if let Some(pin) = &entry.certificate_sha256
            && (pin.len() != 64 || !pin.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            let text = "is not 64 hex digits; `meshvpn relay` prints them";
            return Err(wrong(field("certificate_sha256"), pin, text));
        }
        relays.push(Relay {
            id,
            region: entry.region,
            url: entry.url,
            certificate_sha256: entry.certificate_sha256,
            stun_port: entry.stun_port,
        });
    }
    Ok(relays)
}

/// A whole number with its unit: `90s`, `5m`, `12h`, `180d`.
fn duration(field: &str, text: &str) -> Result<Duration, FileError> {
    let fail = || wrong(field, text, "is no time; write 90s, 5m, 12h or 180d");
    let unit = match text.bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3600,
        Some(b'd') => 86_400,
        _ => return Err(fail()),
    };
    let digits = &text[..text.len() - 1];
    let is_number = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| is_number).ok_or_else(fail)?;
    Ok(Duration::from_secs(number * unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_documentation_is_understood() {
        let lines = include_str!("file.rs").lines();
        let lines = lines.filter_map(|line| line.strip_prefix("//!"));
        let lines = lines.skip_while(|line| *line != " ```yaml").skip(1);
        let yaml: Vec<_> = lines
            .take_while(|line| *line != " ```")
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .collect();
        let yaml = yaml.join("\n").replace("9f86d0…", &"9f".repeat(32));
        let config = FileConfig::parse(&yaml).unwrap();
        assert_eq!(config.listen.port(), 8080);
        let coordinator = config.coordinator;
        assert!(coordinator.allow_all && !coordinator.is_open);
        assert_eq!(coordinator.networks.len(), 2);
        assert_eq!(
            coordinator.key_lifetime,
            Some(Duration::from_secs(180 * 86_400))
        );
        assert_eq!(coordinator.relays[0].id, RelayId(1));
        assert_eq!(config.relay.as_deref(), Some("eu"));
        assert!(config.tls.is_some());
        let empty = FileConfig::parse("# nothing\n").unwrap();
        assert!(!empty.coordinator.allow_all && empty.coordinator.relays.is_empty());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_value_and_the_way_out() {
        for (yaml, expected) in [
            (
                "listen: here",
                "listen: \"here\" is not IP:PORT; write 0.0.0.0:8080",
            ),
            ("allow: some", "allow: \"some\" is neither none nor all"),
            (
                "networks: [10.0.0.0/40]",
                "networks: \"10.0.0.0/40\" not an IP address",
            ),
            (
                "networks: [10.0.0.0/8, 10.0.0.0/9]",
                "one of two of its kind",
            ),
            ("key_lifetime: 180", "180"),
            (
                "key_lifetime: 1y",
                "key_lifetime: \"1y\" is no time; write 90s",
            ),
            ("domain: Mesh_", "domain: \"Mesh_\" is not a domain"),
            (
                "listn: 1",
                "unknown field `listn`, expected one of `listen`",
            ),
            ("listen: [", "line 1"),
            ("relay: eu", "relay: \"eu\" needs `url`"),
            ("tls: {certificate: x}", "missing field `key`"),
            ("relays: [{region: eu}]", "missing field `url`"),
            (
                "relays: [{region: eu, url: ftp://x}]",
                "relays[0].url: \"ftp://x\" is not where",
            ),
            (
                "relays: [{region: eu, url: http://x, certificate_sha256: ab}]",
                "64 hex digits",
            ),
            ("attempts_per_minute: many", "many"),
            ("[", "expected the fields of a coordinator's"),
        ] {
            let error = FileConfig::parse(yaml).unwrap_err().to_string();
            assert!(error.contains(expected), "{yaml}: {error}");
        }
    }
}
