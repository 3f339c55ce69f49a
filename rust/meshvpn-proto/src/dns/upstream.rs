//! What is believed of an answer from another name server (RFC 5452, section 9.1).
//!
//! It must come from the server that was asked (the owner's socket sees to that, and its port is random), bear
//! the ID that we drew for that server alone, and repeat the question. Nothing else of it is read: records of
//! kinds that we do not know pass.

use hickory_proto::op::{Header, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

/// What arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// The answer, be it "no such name".
    Final,
    /// The server does not want to, or cannot; another one may. True where it is whole, with its question,
    /// and so could be passed on.
    Unable(bool),
    /// Not an answer to this question.
    Foreign,
}

/// What a message from a server is to a question that it was asked with this ID.
pub(super) fn judge(message: &[u8], id: u16, asked: &Query) -> Reply {
    let mut decoder = BinDecoder::new(message);
    let Ok(header) = Header::read(&mut decoder) else {
        return Reply::Foreign;
    };
    if header.id != id
        || header.message_type != MessageType::Response
        || header.op_code != OpCode::Query
    {
        return Reply::Foreign;
    }
    let is_unable = matches!(
        header.response_code,
        ResponseCode::ServFail
            | ResponseCode::Refused
            | ResponseCode::NotImp
            | ResponseCode::FormErr
    );
    match header.counts.queries {
        // Some servers refuse without repeating what they refuse.
        0 if is_unable => return Reply::Unable(false),
        1 => {}
        _ => return Reply::Foreign,
    }
    match Query::read(&mut decoder) {
        Ok(repeated) if repeated == *asked && is_unable => Reply::Unable(true),
        Ok(repeated) if repeated == *asked => Reply::Final,
        _ => Reply::Foreign,
    }
}
