//! What the mesh answers by itself.
//!
//! | asked for | type | answer |
//! |---|---|---|
//! | `laptop.mesh.internal` | A, AAAA, ANY | its addresses |
//! | | another | there is no such record (NODATA) |
//! | `mesh.internal` | SOA, ANY | the zone's SOA; else NODATA |
//! | `x.laptop.mesh.internal`, `nobody.mesh.internal` | any | there is no such name (NXDOMAIN) |
//! | `laptop` | DS | passed on: the root says it |
//! | | another | as for the long name |
//! | `5.0.64.100.in-addr.arpa` of a node | PTR, ANY | `laptop.mesh.internal`; else NODATA |
//! | everything else | | passed on |
//!
//! The domain is the mesh's: nothing below it is passed on, so that no outsider learns what is asked for in
//! the mesh. Short names and addresses are answered one by one; of those that are no node's, others may know.
//! Each "no" carries the SOA from which a cache learns how long to believe it (RFC 2308). For a short name or
//! an address that SOA is at the name itself, as if each were a zone of its own.

use core::net::IpAddr;
use std::collections::BTreeMap;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{PTR, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::question::{Question, Transport};
use crate::control::map::Map;

/// Seconds that an answer may be kept. Short, because asking again costs nothing, and a node may be renamed.
const TTL: u32 = 60;
/// Seconds that "no" may be kept: a node that has just joined must not be hidden for long.
const NEGATIVE_TTL: u32 = 5;
/// What a secondary server would need; there are none. Seconds, as RFC 1912, section 2.2, has them.
const REFRESH: i32 = 1200;
const RETRY: i32 = 180;
const EXPIRE: i32 = 1_209_600;
/// Short names that programs give a meaning of their own. Whoever may name a node must not become
/// everybody's proxy (`wpad`), tunnel (`isatap`), or this very host (RFC 6761, section 6.3).
const NEVER_SHORT: [&[u8]; 3] = [b"localhost", b"wpad", b"isatap"];
/// Longest label (RFC 1035, section 2.3.4).
const LABEL_MAX: usize = 63;

/// The names and addresses of one map.
#[derive(Debug, Clone, Default)]
pub struct Zone {
    /// In lower case; none where the map has none, or one that cannot be a name.
    domain: Option<Name>,
    /// Addresses by name, in lower case.
    hosts: BTreeMap<Vec<u8>, Vec<IpAddr>>,
    /// Names by the name of the address.
    reverse: BTreeMap<Name, Name>,
    serial: u32,
}

/// What is to be done with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The mesh knows: send this back.
    Answer(Vec<u8>),
    /// Others may know.
    Forward(Question),
    /// It is no question for a resolver: send this back; nothing if there is nothing.
    Refuse(Option<Vec<u8>>),
}

/// Whose records a name has.
enum Owner<'a> {
    /// A node.
    Host(&'a [IpAddr]),
    /// A node's address.
    Address(&'a Name),
    /// The zone itself.
    Domain,
    /// Nobody, and nobody else knows either.
    Nobody,
}

impl Zone {
    /// The zone of a map.
    pub fn new(map: &Map) -> Self {
        let nodes = map.node.iter().chain(map.peers.values());
        let names = nodes.map(|node| (node.name.as_str(), node.addresses.as_slice()));
        Self::of_names(&map.domain, map.version, names)
    }

    /// The zone of these names and their addresses, below `domain`. A name that cannot be a label is left out.
    pub fn of_names<'a>(
        domain: &str,
        version: u64,
        names: impl IntoIterator<Item = (&'a str, &'a [IpAddr])>,
    ) -> Self {
        let mut zone = Self {
            domain: parse_domain(domain),
            // A serial number wraps (RFC 1982).
            serial: version as u32,
            ..Self::default()
        };
        for (name, addresses) in names {
            zone.add(name, addresses);
        }
        zone
    }

    /// What is to be done with a message that a client has sent.
    pub fn judge(&self, message: &[u8], transport: Transport) -> Verdict {
        let question = match Question::parse(message, transport) {
            Ok(question) => question,
            Err(reply) => return Verdict::Refuse(reply),
        };
        if !matches!(question.query.query_class, DNSClass::IN | DNSClass::ANY) {
            return Verdict::Refuse(Some(question.refused()));
        }
        match self.find(&question.query.name, question.query.query_type) {
            Some((apex, owner)) => Verdict::Answer(self.answer(&question, &apex, &owner)),
            None => Verdict::Forward(question),
        }
    }

    fn add(&mut self, name: &str, addresses: &[IpAddr]) {
        if !is_label(name.as_bytes()) {
            return;
        }
        let label = name.to_ascii_lowercase().into_bytes();
        let domain = self.domain.clone().unwrap_or_else(Name::root);
        let Ok(name) = domain.prepend_label(label.as_slice()) else {
            return;
        };
        for address in addresses {
            let address = Name::from(*address).to_lowercase();
            self.reverse.entry(address).or_insert_with(|| name.clone());
        }
        self.hosts.entry(label).or_default().extend(addresses);
    }

    /// Whose name it is, and where the zone begins that it is in; none when it is not ours.
    fn find(&self, name: &Name, record_type: RecordType) -> Option<(Name, Owner<'_>)> {
        let labels = name.iter().count();
        let first = || name.iter().next().unwrap_or_default().to_ascii_lowercase();
        if let Some(domain) = self.domain.as_ref().filter(|domain| domain.zone_of(name)) {
            let owner = match labels - domain.iter().count() {
                0 => Owner::Domain,
                1 => self.host(&first()).unwrap_or(Owner::Nobody),
                _ => Owner::Nobody,
            };
            return Some((domain.clone(), owner));
        }
        if labels == 1 {
            let label = first();
            // What is signed is told at the parent (RFC 4035, section 3.1.4.1), which is the root.
            if NEVER_SHORT.contains(&label.as_slice()) || record_type == RecordType::DS {
                return None;
            }
            return Some((name.clone(), self.host(&label)?));
        }
        let known = self.reverse.get(name)?;
        Some((name.clone(), Owner::Address(known)))
    }

    fn host(&self, label: &[u8]) -> Option<Owner<'_>> {
        self.hosts
            .get(label)
            .map(|addresses| Owner::Host(addresses))
    }

    fn answer(&self, question: &Question, apex: &Name, owner: &Owner<'_>) -> Vec<u8> {
        let code = match owner {
            Owner::Nobody => ResponseCode::NXDomain,
            _ => ResponseCode::NoError,
        };
        let asked = question.query.query_type;
        let mut reply = question.reply(code);
        reply.metadata.authoritative = true;
        let soa = self.soa(apex);
        // As the client wrote it, capitals and all.
        let name = &question.query.name;
        let is_apex = name == apex;
        let records = match owner {
            Owner::Host(addresses) => addresses
                .iter()
                .map(|address| address_data(*address))
                .collect(),
            Owner::Address(known) => vec![RData::PTR(PTR((*known).clone()))],
            Owner::Domain | Owner::Nobody => Vec::new(),
        };
        let own_soa = is_apex.then(|| RData::SOA(soa.clone()));
        reply.add_answers(
            records
                .into_iter()
                .chain(own_soa)
                .filter(|data| asked == RecordType::ANY || asked == data.record_type())
                .map(|data| Record::from_rdata(name.clone(), TTL, data)),
        );
        if reply.answers.is_empty() {
            reply.add_authority(Record::from_rdata(
                apex.clone(),
                NEGATIVE_TTL,
                RData::SOA(soa),
            ));
        }
        question.written(reply)
    }

    /// The zone's server is at its apex, and nobody takes mail for it.
    fn soa(&self, apex: &Name) -> SOA {
        let (server, mailbox) = (apex.clone(), Name::root());
        SOA::new(
            server,
            mailbox,
            self.serial,
            REFRESH,
            RETRY,
            EXPIRE,
            NEGATIVE_TTL,
        )
    }
}

fn address_data(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(address) => RData::A(address.into()),
        IpAddr::V6(address) => RData::AAAA(address.into()),
    }
}

fn parse_domain(text: &str) -> Option<Name> {
    let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let labels: Vec<_> = text.split('.').map(str::as_bytes).collect();
    if !labels.iter().all(|label| is_label(label)) {
        return None;
    }
    Name::from_labels(labels).ok()
}

/// Whether a host may be called so (RFC 1123, section 2.1), or, with an underscore, is called so anyway.
fn is_label(label: &[u8]) -> bool {
    let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=LABEL_MAX).contains(&label.len()) && label.iter().all(is_inside)
}

#[cfg(test)]
mod tests;
