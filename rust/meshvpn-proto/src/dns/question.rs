//! A question as it arrives, and the replies that carry no records.
//!
//! ```text
//!  0       2       4       6       8       10      12
//! ┌───────┬───────┬───────┬───────┬───────┬───────┬──────────────────┬─────────────
//! │  ID   │ flags │QDCOUNT│ANCOUNT│NSCOUNT│ARCOUNT│ name, type, class│ OPT (EDNS0) …
//! └───────┴───────┴───────┴───────┴───────┴───────┴──────────────────┴─────────────
//! ```
//!
//! RFC 1035, section 4; RFC 6891 for the record OPT. The codec is hickory's.

use hickory_proto::op::{
    Edns, Header, Message, MessageType, Metadata, OpCode, Query, ResponseCode,
};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

/// Bytes of a message's header.
pub(super) const HEADER_LEN: usize = 12;
/// What every client takes over UDP (RFC 1035, section 2.3.4).
const CLASSIC_LEN: u16 = 512;
/// What we say that we take over UDP, and the most that we send by ourselves: it is not fragmented on any
/// path that IPv6 runs on (DNS flag day 2020).
const UDP_LEN: u16 = 1232;
/// "This answer is cut short", in the second half of the header's flags.
const TRUNCATED: u8 = 0x02;

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// As a datagram, with a size that the client names.
    Udp,
    /// As a stream, behind its length in two bytes.
    Tcp,
}

/// A question that can be answered or passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub(super) metadata: Metadata,
    pub(super) query: Query,
    pub(super) edns: Option<Edns>,
    pub(super) transport: Transport,
}

impl Question {
    /// Reads a message in which somebody asks something.
    ///
    /// # Errors
    /// The reply that refuses it, or none where nothing may be answered: to what is no message, and to
    /// answers, or two resolvers would talk for ever.
    pub fn parse(message: &[u8], transport: Transport) -> Result<Self, Option<Vec<u8>>> {
        let header = Header::read(&mut BinDecoder::new(message)).map_err(|_| None)?;
        if header.message_type != MessageType::Query {
            return Err(None);
        }
        let refuse = |code| Err(Some(bare_reply(&header.metadata, code)));
        if header.op_code != OpCode::Query {
            return refuse(ResponseCode::NotImp);
        }
        // RFC 9619; it also keeps the codec from making room for 65,535 of them.
        if header.counts.queries != 1 {
            return refuse(ResponseCode::FormErr);
        }
        let Ok(mut message) = Message::from_vec(message) else {
            return refuse(ResponseCode::FormErr);
        };
        let Some(query) = message.queries.pop() else {
            return refuse(ResponseCode::FormErr);
        };
        let question = Self {
            metadata: header.metadata,
            query,
            edns: message.edns,
            transport,
        };
        match &question.edns {
            Some(edns) if edns.version() != 0 => Err(Some(question.error(ResponseCode::BADVERS))),
            _ => Ok(question),
        }
    }

    /// The number by which the client knows the answer.
    pub fn id(&self) -> u16 {
        self.metadata.id
    }

    /// What is asked for, for people: `laptop.mesh.internal. AAAA`.
    pub fn summary(&self) -> String {
        format!("{} {}", self.query.name, self.query.query_type)
    }

    /// "Ask somebody else": nothing that this client may ask here.
    pub fn refused(&self) -> Vec<u8> {
        self.error(ResponseCode::Refused)
    }

    /// "No answer could be had now."
    pub fn failed(&self) -> Vec<u8> {
        self.error(ResponseCode::ServFail)
    }

    /// How long an answer may be that somebody else made: the client has told them its own size.
    pub(super) fn room(&self) -> usize {
        usize::from(match (self.transport, &self.edns) {
            (Transport::Tcp, _) => u16::MAX,
            (Transport::Udp, None) => CLASSIC_LEN,
            (Transport::Udp, Some(edns)) => edns.max_payload().max(CLASSIC_LEN),
        })
    }

    /// A reply to be filled with records.
    pub(super) fn reply(&self, code: ResponseCode) -> Message {
        let mut reply = Message::response(self.metadata.id, OpCode::Query);
        reply.metadata = Metadata::response_from_request(&self.metadata);
        reply.metadata.recursion_available = true;
        reply.metadata.response_code = code;
        reply.add_query(self.query.clone());
        if let Some(asked) = &self.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_LEN)
                .set_dnssec_ok(asked.flags().dnssec_ok);
            reply.set_edns(edns);
        }
        reply
    }

    /// The reply as it travels: without its records, and saying so, where they do not fit.
    pub(super) fn written(&self, mut reply: Message) -> Vec<u8> {
        let room = match self.transport {
            Transport::Udp => self.room().min(usize::from(UDP_LEN)),
            Transport::Tcp => self.room(),
        };
        match reply.to_vec() {
            Ok(bytes) if bytes.len() <= room => bytes,
            // Half a set of records would be taken for the whole (RFC 2181, section 9).
            _ => {
                reply.answers.clear();
                reply.authorities.clear();
                reply.metadata.truncation = true;
                let bytes = reply.to_vec();
                bytes.unwrap_or_else(|_| bare_reply(&self.metadata, ResponseCode::ServFail))
            }
        }
    }

    fn error(&self, code: ResponseCode) -> Vec<u8> {
        self.written(self.reply(code))
    }
}

/// Cuts a foreign answer down to its header and question when it is longer than `room`. The question has
/// been read already: it is there, and its name is not compressed.
pub(super) fn cut(mut message: Vec<u8>, question: &Query, room: usize) -> Vec<u8> {
    // A name as long as its labels, each with its length, and the root; then type and class.
    let name: usize = question.name.iter().map(|label| label.len() + 1).sum();
    let kept = HEADER_LEN + name + 1 + 4;
    if message.len() > room && message.len() > kept {
        message.truncate(kept);
        message[2] |= TRUNCATED;
        message[6..HEADER_LEN].fill(0);
    }
    message
}

/// A reply of which no more is known than the header of the question.
fn bare_reply(asked: &Metadata, code: ResponseCode) -> Vec<u8> {
    let mut reply = Message::response(asked.id, asked.op_code);
    reply.metadata = Metadata::response_from_request(asked);
    reply.metadata.recursion_available = true;
    reply.metadata.response_code = code;
    // A header alone can always be written.
    reply.to_vec().unwrap_or_default()
}
