//! STUN messages (RFC 8489) as far as binding needs them, with what RFC 5780 adds.
//!
//! ```text
//!  0                   1                   2                   3
//! +--+---------------+-------------------------------+
//! |00| type          | length of what follows        |
//! +--+---------------+-------------------------------+
//! | magic cookie 0x2112a442                          |
//! +--------------------------------------------------+
//! | transaction ID (96 bits)                         |
//! +--------------------------------------------------+
//! | attributes: type, length, value padded to 4 bytes|
//! ```
//!
//! The cookie keeps STUN and WireGuard apart on one socket: bytes 1 to 3 of a WireGuard message are zero, and
//! a STUN message that has them so has no room for its own length.
//!
//! The codec is the crate stun-rs; here its results become types that hold nothing else than what was asked.

use core::fmt;
use core::net::SocketAddr;

use stun_rs::attributes::discovery::{
    ChangeRequest, ChangeRequestFlags, OtherAddress, ResponseOrigin, ResponsePort,
};
use stun_rs::attributes::stun::{
    ErrorCode, Fingerprint, MappedAddress, UnknownAttributes, XorMappedAddress,
};
use stun_rs::methods::BINDING;
use stun_rs::{
    MessageClass, MessageDecoderBuilder, MessageEncoderBuilder, StunAttribute, StunMessage,
    StunMessageBuilder, get_input_text,
};

/// Bytes of the header: no message is shorter.
pub const HEADER_LEN: usize = 20;
/// Longer than any message without text: header, three IPv6 addresses, fingerprint.
const ROOM: usize = 256;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// A fingerprint's type and length; it comes last.
const FINGERPRINT_HEADER: [u8; 4] = [0x80, 0x28, 0, 4];
/// ERROR-CODE of a request that demands what the server does not know (RFC 8489, section 14.8).
const UNKNOWN_ATTRIBUTE: u16 = 420;

/// What ties a response to its request. Unpredictable, so that nobody can answer who has not seen it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// From where else than the address asked the answer shall come: CHANGE-REQUEST (RFC 5780, section 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    /// From the server's other IP address.
    pub address: bool,
    /// From its other port.
    pub port: bool,
}

impl Change {
    /// From where it was asked.
    pub const NONE: Self = Self {
        address: false,
        port: false,
    };
    /// From another address and port.
    pub const BOTH: Self = Self {
        address: true,
        port: true,
    };
    /// From another port of the same address.
    pub const PORT: Self = Self {
        address: false,
        port: true,
    };
}

/// A binding request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// To be repeated in the response.
    pub transaction: TransactionId,
    /// From where to answer.
    pub change: Change,
    /// To which port of the asker to answer, if not the one it asks from (RFC 5780, section 7.5).
    pub response_port: Option<u16>,
    /// The message is protected against being taken for another protocol's.
    pub has_fingerprint: bool,
    /// What the request demands and we do not know; empty in one of ours.
    pub unknown: Vec<u16>,
}

/// A response to a binding request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The request's.
    pub transaction: TransactionId,
    /// Where the request came from, or why it was refused.
    pub outcome: Result<Binding, Refusal>,
}

/// What a server saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// Where the request came from: XOR-MAPPED-ADDRESS.
    pub mapped: SocketAddr,
    /// Where the response came from, as the server has it: RESPONSE-ORIGIN.
    pub origin: Option<SocketAddr>,
    /// Another address and port of the server: OTHER-ADDRESS.
    pub other: Option<SocketAddr>,
}

/// Why a server refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// 300 to 699 (RFC 8489, section 14.8).
    pub code: u16,
    /// For people; comes from the server, so it may be anything.
    pub reason: String,
    /// With code 420: the types of the attributes that the server does not know.
    pub unknown: Vec<u16>,
}

/// A message about binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// To a server.
    Request(Request),
    /// From a server.
    Response(Response),
}

/// Whether a datagram is STUN and not WireGuard or something else. It may still be malformed.
pub fn is_stun(datagram: &[u8]) -> bool {
    let Some((header, rest)) = datagram.split_first_chunk::<HEADER_LEN>() else {
        return false;
    };
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    header[0] < 0x40
        && header[4..8] == MAGIC_COOKIE
        && length == rest.len()
        && length.is_multiple_of(4)
}

impl Message {
    /// Reads a datagram; none when it is no well-formed message about binding.
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        if !is_stun(datagram) {
            return None;
        }
        let decoder = MessageDecoderBuilder::default().build();
        let (message, _) = decoder.decode(datagram).ok()?;
        if message.method() != BINDING || !has_sound_fingerprint(&message, datagram) {
            return None;
        }
        let transaction = TransactionId(*message.transaction_id().as_bytes());
        match message.class() {
            MessageClass::Request => Some(Self::Request(request(transaction, &message))),
            MessageClass::SuccessResponse => {
                let outcome = Ok(binding(&message)?);
                Some(Self::Response(Response {
                    transaction,
                    outcome,
                }))
            }
            MessageClass::ErrorResponse => {
                let outcome = Err(refusal(&message)?);
                Some(Self::Response(Response {
                    transaction,
                    outcome,
                }))
            }
            MessageClass::Indication => None,
        }
    }
}

impl Request {
    /// A plain question.
    pub fn new(transaction: TransactionId, change: Change) -> Self {
        Self {
            transaction,
            change,
            response_port: None,
            has_fingerprint: true,
            unknown: Vec::new(),
        }
    }

    /// The datagram.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = builder(MessageClass::Request, self.transaction);
        let Change { address, port } = self.change;
        let flags = match (address, port) {
            (false, false) => None,
            (true, false) => Some(ChangeRequestFlags::ChangeIp.into()),
            (false, true) => Some(ChangeRequestFlags::ChangePort.into()),
            (true, true) => Some(ChangeRequestFlags::ChangeIp | ChangeRequestFlags::ChangePort),
        };
        if flags.is_some() {
            message = message.with_attribute(ChangeRequest::new(flags));
        }
        if let Some(port) = self.response_port {
            message = message.with_attribute(ResponsePort::from(port));
        }
        encode(message, self.has_fingerprint, 0)
    }
}

impl Response {
    /// A refusal of what the server does not know.
    pub fn unknown_attributes(transaction: TransactionId, unknown: Vec<u16>) -> Self {
        Self {
            transaction,
            outcome: Err(Refusal {
                code: UNKNOWN_ATTRIBUTE,
                reason: "Unknown Attribute".into(),
                unknown,
            }),
        }
    }

    /// The datagram, with a fingerprint when the request had one.
    pub fn encode(&self, has_fingerprint: bool) -> Vec<u8> {
        let mut text = 0;
        let message = match &self.outcome {
            Ok(binding) => {
                let message = builder(MessageClass::SuccessResponse, self.transaction)
                    .with_attribute(XorMappedAddress::from(binding.mapped));
                let message = match binding.origin {
                    Some(origin) => message.with_attribute(ResponseOrigin::from(origin)),
                    None => message,
                };
                match binding.other {
                    Some(other) => message.with_attribute(OtherAddress::from(other)),
                    None => message,
                }
            }
            Err(refusal) => {
                let message = builder(MessageClass::ErrorResponse, self.transaction);
                let code = stun_rs::ErrorCode::new(refusal.code, &refusal.reason);
                let message = match code {
                    Ok(code) => message.with_attribute(ErrorCode::from(code)),
                    Err(_) => message,
                };
                text = refusal.reason.len() + 2 * refusal.unknown.len();
                let mut unknown = UnknownAttributes::default();
                refusal.unknown.iter().for_each(|kind| unknown.add(*kind));
                if refusal.unknown.is_empty() {
                    message
                } else {
                    message.with_attribute(unknown)
                }
            }
        };
        encode(message, has_fingerprint, text)
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn builder(class: MessageClass, transaction: TransactionId) -> StunMessageBuilder {
    // Without an ID of ours, the codec would draw one from the system.
    StunMessageBuilder::new(BINDING, class).with_transaction_id(transaction.0.into())
}

fn encode(message: StunMessageBuilder, has_fingerprint: bool, text: usize) -> Vec<u8> {
    let message = if has_fingerprint {
        message.with_attribute(Fingerprint::default())
    } else {
        message
    };
    let mut buffer = vec![0; ROOM + text];
    let len = MessageEncoderBuilder::default()
        .build()
        .encode(&mut buffer, &message.build())
        .expect("the buffer has room for what there is");
    buffer.truncate(len);
    buffer
}

/// No fingerprint, or the right one (RFC 8489, section 7.3: else the message is dropped).
fn has_sound_fingerprint(message: &StunMessage, datagram: &[u8]) -> bool {
    let Some(StunAttribute::Fingerprint(fingerprint)) = message.get::<Fingerprint>() else {
        // A changed length before it hides it among other attributes.
        let tail = datagram.last_chunk::<8>();
        return tail.is_none_or(|tail| !tail.starts_with(&FINGERPRINT_HEADER));
    };
    get_input_text::<Fingerprint>(datagram).is_some_and(|input| fingerprint.validate(&input))
}

fn request(transaction: TransactionId, message: &StunMessage) -> Request {
    let mut change = Change::NONE;
    let mut response_port = None;
    let mut unknown = Vec::new();
    for attribute in message.attributes() {
        match attribute {
            StunAttribute::ChangeRequest(request) => {
                change.address = request.flags().contains(ChangeRequestFlags::ChangeIp);
                change.port = request.flags().contains(ChangeRequestFlags::ChangePort);
            }
            StunAttribute::ResponsePort(port) => response_port = Some(*port.as_ref()),
            // PADDING asks for a longer answer than the question: not of us.
            StunAttribute::Padding(_) | StunAttribute::Unknown(_) => {
                let kind = attribute.attribute_type();
                if kind.is_comprehension_required() && !unknown.contains(&kind.as_u16()) {
                    unknown.push(kind.as_u16());
                }
            }
            _ => {}
        }
    }
    Request {
        transaction,
        change,
        response_port,
        has_fingerprint: message.get::<Fingerprint>().is_some(),
        unknown,
    }
}

fn binding(message: &StunMessage) -> Option<Binding> {
    // MAPPED-ADDRESS is what servers of before 2008 send; routers rewrite it, so it comes second.
    let mapped = match message.get::<XorMappedAddress>() {
        Some(StunAttribute::XorMappedAddress(address)) => *address.socket_address(),
        _ => match message.get::<MappedAddress>() {
            Some(StunAttribute::MappedAddress(address)) => *address.socket_address(),
            _ => return None,
        },
    };
    let origin = match message.get::<ResponseOrigin>() {
        Some(StunAttribute::ResponseOrigin(address)) => Some(*address.socket_address()),
        _ => None,
    };
    let other = match message.get::<OtherAddress>() {
        Some(StunAttribute::OtherAddress(address)) => Some(*address.socket_address()),
        _ => None,
    };
    Some(Binding {
        mapped,
        origin,
        other,
    })
}

fn refusal(message: &StunMessage) -> Option<Refusal> {
    let Some(StunAttribute::ErrorCode(code)) = message.get::<ErrorCode>() else {
        return None;
    };
    let unknown = match message.get::<UnknownAttributes>() {
        Some(StunAttribute::UnknownAttributes(unknown)) => unknown.attributes().to_vec(),
        _ => Vec::new(),
    };
    Some(Refusal {
        code: code.error_code().error_code(),
        reason: code.error_code().reason().to_owned(),
        unknown,
    })
}
