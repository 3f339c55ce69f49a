//! From text to a configuration.

use core::net::IpAddr;

use crate::config::Shown;
use crate::keys::{KeyError, PresharedKey, PrivateKey, PublicKey};

use super::error::{ConfigDefect, ConfigError};
use super::fields::Field;
use super::words::{Command, Endpoint, InterfaceAddress, Name, is_blank, number, trim};
use super::{Config, Interface, Peer, Table};

/// Smallest MTU of an IP network (RFC 791).
const MIN_MTU: u16 = 68;

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The first line that cannot be used.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut reader = Reader::default();
        // Editors on Windows put a byte order mark at the beginning.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.split('\n').enumerate() {
            let number = index + 1;
            reader
                .handle_line(number, line)
                .map_err(|defect| ConfigError {
                    line: number,
                    defect,
                })?;
        }
        reader.finish()
    }
}

#[derive(Default)]
struct Reader {
    interface: Interface,
    peers: Vec<PeerSection>,
    section: Option<Section>,
}

#[derive(Clone, Copy)]
enum Section {
    Interface,
    Peer,
}

/// A peer whose key may still come.
struct PeerSection {
    line: usize,
    public_key: Option<PublicKey>,
    /// With a key that stands for none.
    peer: Peer,
}

impl Reader {
    fn handle_line(&mut self, number: usize, line: &str) -> Result<(), ConfigDefect> {
        let line = trim(line.split('#').next().unwrap_or_default());
        if line.is_empty() {
            return Ok(());
        }
        if line.starts_with('[') {
            return self.handle_section(number, line);
        }
        let Some((name, value)) = line.split_once('=') else {
            return Err(ConfigDefect::NoValue(Shown::new(line)));
        };
        let (name, value) = (trim(name), trim(value));
        let field = |fields: &[Field]| {
            let is_named = |field: &&Field| field.name().eq_ignore_ascii_case(name);
            fields.iter().find(is_named).copied()
        };
        match (self.section, self.peers.last_mut()) {
            (Some(Section::Interface), _) => match field(&Field::INTERFACE) {
                Some(field) => handle_interface_field(&mut self.interface, field, value),
                None => Err(ConfigDefect::UnknownInterfaceField(Shown::new(name))),
            },
            (Some(Section::Peer), Some(section)) => match field(&Field::PEER) {
                Some(field) => section.handle_field(field, value),
                None => Err(ConfigDefect::UnknownPeerField(Shown::new(name))),
            },
            _ => Err(ConfigDefect::NoSection(Shown::new(name))),
        }
    }

    fn handle_section(&mut self, number: usize, line: &str) -> Result<(), ConfigDefect> {
        if line.eq_ignore_ascii_case("[Interface]") {
            self.section = Some(Section::Interface);
        } else if line.eq_ignore_ascii_case("[Peer]") {
            self.section = Some(Section::Peer);
            self.peers.push(PeerSection {
                line: number,
                public_key: None,
                peer: Peer::new(PublicKey::new([0; 32])),
            });
        } else {
            return Err(ConfigDefect::UnknownSection(Shown::new(line)));
        }
        Ok(())
    }

    fn finish(self) -> Result<Config, ConfigError> {
        let finish = |section: PeerSection| {
            let Some(public_key) = section.public_key else {
                let (line, defect) = (section.line, ConfigDefect::NoPublicKey);
                return Err(ConfigError { line, defect });
            };
            Ok(Peer {
                public_key,
                ..section.peer
            })
        };
        Ok(Config {
            interface: self.interface,
            peers: self
                .peers
                .into_iter()
                .map(finish)
                .collect::<Result<_, _>>()?,
        })
    }
}

fn handle_interface_field(
    interface: &mut Interface,
    field: Field,
    value: &str,
) -> Result<(), ConfigDefect> {
    match field {
        Field::PrivateKey => {
            interface.private_key = Some(key(field, value, PrivateKey::from_base64)?);
        }
        Field::ListenPort => interface.listen_port = Some(one(field, value, number)?),
        Field::FwMark => interface.fwmark = Some(one(field, value, fwmark)?),
        Field::Address => each(field, value, |text| {
            interface.addresses.push(InterfaceAddress::parse(text)?);
            Some(())
        })?,
        Field::Dns => each(field, value, |text| dns(interface, text))?,
        Field::Mtu => {
            let mtu = |value: &str| number(value).filter(|mtu| *mtu >= MIN_MTU);
            interface.mtu = Some(one(field, value, mtu)?);
        }
        Field::Table => interface.table = one(field, value, table)?,
        Field::SaveConfig => interface.saves_config = one(field, value, truth)?,
        _ => {
            let commands = match field {
                Field::PreUp => &mut interface.hooks.pre_up,
                Field::PostUp => &mut interface.hooks.post_up,
                Field::PreDown => &mut interface.hooks.pre_down,
                _ => &mut interface.hooks.post_down,
            };
            commands.push(one(field, value, Command::new)?);
        }
    }
    Ok(())
}

impl PeerSection {
    fn handle_field(&mut self, field: Field, value: &str) -> Result<(), ConfigDefect> {
        let peer = &mut self.peer;
        match field {
            Field::PublicKey => self.public_key = Some(key(field, value, PublicKey::from_base64)?),
            Field::PresharedKey => {
                peer.preshared_key = Some(key(field, value, PresharedKey::from_base64)?);
            }
            Field::AllowedIps => each(field, value, |text| {
                peer.allowed_ips.push(text.parse().ok()?);
                Some(())
            })?,
            Field::Endpoint => peer.endpoint = Some(one(field, value, Endpoint::parse)?),
            _ => peer.persistent_keepalive = Some(one(field, value, seconds)?),
        }
        Ok(())
    }
}

/// A field's only value.
fn one<T>(
    field: Field,
    value: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, ConfigDefect> {
    parse(value).ok_or_else(|| ConfigDefect::Value {
        field,
        value: Shown::new(value),
    })
}

/// The values of a list: commas or blanks between them.
fn each(
    field: Field,
    value: &str,
    mut parse: impl FnMut(&str) -> Option<()>,
) -> Result<(), ConfigDefect> {
    value
        .split(|character| character == ',' || is_blank(character))
        .filter(|text| !text.is_empty())
        .try_for_each(|text| one(field, text, &mut parse))
}

fn key<T>(
    field: Field,
    value: &str,
    parse: impl FnOnce(&str) -> Result<T, KeyError>,
) -> Result<T, ConfigDefect> {
    parse(value).map_err(|error| ConfigDefect::Key { field, error })
}

fn fwmark(value: &str) -> Option<u32> {
    if value.eq_ignore_ascii_case("off") {
        return Some(0);
    }
    match value.strip_prefix("0x") {
        // Digits alone: Rust's own parser takes "+f" too.
        Some(hex) if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            u32::from_str_radix(hex, 16).ok()
        }
        Some(_) => None,
        None => number(value),
    }
}

fn seconds(value: &str) -> Option<u16> {
    if value.eq_ignore_ascii_case("off") {
        return Some(0);
    }
    number(value)
}

fn table(value: &str) -> Option<Table> {
    if value.eq_ignore_ascii_case("auto") {
        return Some(Table::Auto);
    }
    if value.eq_ignore_ascii_case("off") {
        return Some(Table::Off);
    }
    Name::new(value).map(Table::Named)
}

fn truth(value: &str) -> Option<bool> {
    let is = |word| value.eq_ignore_ascii_case(word);
    (is("true") || is("false")).then(|| is("true"))
}

/// A name server by its address; anything else that could be a name is a domain.
fn dns(interface: &mut Interface, text: &str) -> Option<()> {
    if let Ok(address) = text.parse::<IpAddr>() {
        interface.dns.push(address);
        return Some(());
    }
    let is_like_an_address = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let domain = Name::new(text).filter(|_| !is_like_an_address)?;
    interface.search_domains.push(domain);
    Some(())
}
