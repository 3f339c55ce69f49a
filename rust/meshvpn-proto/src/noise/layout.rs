//! The four messages as tables: which field lies where, and what keeps bytes from being such a message.
//!
//! The device needs none of this: it asks [`messages`](super::messages) and
//! [`transport`](crate::session::transport) for a yes or no. This is for people who look at a message.
//!
//! Fields have the whitepaper's names (sections 5.4.2, 5.4.3, 5.4.6 and 5.4.7).

use super::messages::{
    COOKIE_REPLY, COOKIE_REPLY_LEN, INITIATION, INITIATION_LEN, RESPONSE, RESPONSE_LEN,
};
use crate::session::transport::{DATA, OVERHEAD};

/// One kind of message.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    /// Its name: `"initiation"`.
    pub name: &'static str,
    /// Its first byte.
    pub kind: u8,
    /// Its fields in their order, without a gap.
    pub fields: &'static [Field],
    /// Its length; the shortest, when the last field has any length.
    pub len: usize,
    is_open_ended: bool,
}

/// Where a field lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The whitepaper's name.
    pub name: &'static str,
    /// Its first byte.
    pub start: usize,
    /// The byte behind its last; `None` when it takes the rest of the message.
    pub end: Option<usize>,
}

/// Why bytes are not a message of some kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// Another first byte.
    #[error("type: {found}{} instead of {expected}{}", name(*found), name(*expected))]
    Type {
        /// The first byte.
        found: u8,
        /// What it should be.
        expected: u8,
    },
    /// Three bytes that must be zero are not.
    #[error("reserved: {:02x}{:02x}{:02x} instead of 000000", .0[0], .0[1], .0[2])]
    Reserved([u8; 3]),
    /// Too long or too short.
    #[error("length: {found} bytes instead of {}{expected}", if *.is_least { "at least " } else { "" })]
    Length {
        /// What there is.
        found: usize,
        /// What there should be.
        expected: usize,
        /// More would be right, too.
        is_least: bool,
    },
}

/// Section 5.4.2.
pub static INITIATION_LAYOUT: Layout = Layout {
    name: "initiation",
    kind: INITIATION,
    fields: &[
        Field::new("type", 0, 1),
        Field::new("reserved", 1, 4),
        Field::new("sender", 4, 8),
        Field::new("unencrypted_ephemeral", 8, 40),
        Field::new("encrypted_static", 40, 88),
        Field::new("encrypted_timestamp", 88, 116),
        Field::new("mac1", 116, 132),
        Field::new("mac2", 132, INITIATION_LEN),
    ],
    len: INITIATION_LEN,
    is_open_ended: false,
};

/// Section 5.4.3.
pub static RESPONSE_LAYOUT: Layout = Layout {
    name: "response",
    kind: RESPONSE,
    fields: &[
        Field::new("type", 0, 1),
        Field::new("reserved", 1, 4),
        Field::new("sender", 4, 8),
        Field::new("receiver", 8, 12),
        Field::new("unencrypted_ephemeral", 12, 44),
        Field::new("encrypted_nothing", 44, 60),
        Field::new("mac1", 60, 76),
        Field::new("mac2", 76, RESPONSE_LEN),
    ],
    len: RESPONSE_LEN,
    is_open_ended: false,
};

/// Section 5.4.7.
pub static COOKIE_REPLY_LAYOUT: Layout = Layout {
    name: "cookie reply",
    kind: COOKIE_REPLY,
    fields: &[
        Field::new("type", 0, 1),
        Field::new("reserved", 1, 4),
        Field::new("receiver", 4, 8),
        Field::new("nonce", 8, 32),
        Field::new("encrypted_cookie", 32, COOKIE_REPLY_LEN),
    ],
    len: COOKIE_REPLY_LEN,
    is_open_ended: false,
};

/// Section 5.4.6.
pub static DATA_LAYOUT: Layout = Layout {
    name: "data message",
    kind: DATA,
    fields: &[
        Field::new("type", 0, 1),
        Field::new("reserved", 1, 4),
        Field::new("receiver", 4, 8),
        Field::new("counter", 8, 16),
        Field {
            name: "encrypted_packet",
            start: 16,
            end: None,
        },
    ],
    len: OVERHEAD,
    is_open_ended: true,
};

impl Layout {
    /// The layout of messages that begin with this byte.
    pub fn of(kind: u8) -> Option<&'static Self> {
        let known = [
            &INITIATION_LAYOUT,
            &RESPONSE_LAYOUT,
            &COOKIE_REPLY_LAYOUT,
            &DATA_LAYOUT,
        ];
        known.into_iter().find(|layout| layout.kind == kind)
    }

    /// Whether these bytes are such a message; whether it is authentic, only keys can say.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn check(&self, bytes: &[u8]) -> Result<(), LayoutError> {
        let length = LayoutError::Length {
            found: bytes.len(),
            expected: self.len,
            is_least: self.is_open_ended,
        };
        let [kind, a, b, c, ..] = *bytes else {
            return Err(length);
        };
        if kind != self.kind {
            return Err(LayoutError::Type {
                found: kind,
                expected: self.kind,
            });
        }
        if [a, b, c] != [0; 3] {
            return Err(LayoutError::Reserved([a, b, c]));
        }
        let fits = bytes.len() == self.len || (self.is_open_ended && bytes.len() > self.len);
        if fits { Ok(()) } else { Err(length) }
    }
}

impl Field {
    const fn new(name: &'static str, start: usize, end: usize) -> Self {
        Self {
            name,
            start,
            end: Some(end),
        }
    }
}

fn name(kind: u8) -> String {
    Layout::of(kind).map_or_else(String::new, |layout| format!(" ({})", layout.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::messages::{CookieReply, Initiation, Response};
    use crate::session::transport::DataMessage;
    use proptest::prelude::*;

    fn field<'a>(layout: &Layout, name: &str, bytes: &'a [u8]) -> &'a [u8] {
        let field = layout.fields.iter().find(|field| field.name == name);
        let field = field.unwrap();
        &bytes[field.start..field.end.unwrap_or(bytes.len())]
    }

    #[test]
    fn fields_follow_each_other_to_the_end() {
        for kind in 1..=4 {
            let layout = Layout::of(kind).unwrap();
            let mut at = 0;
            for field in layout.fields {
                assert_eq!(field.start, at, "{} of a {}", field.name, layout.name);
                at = field.end.unwrap_or(layout.len);
            }
            assert_eq!(at, layout.len);
        }
        assert_eq!(Layout::of(0), None);
        assert_eq!(Layout::of(5), None);
    }

    #[test]
    fn the_tables_are_those_of_the_messages() {
        let noise: [u8; 108] = core::array::from_fn(|at| at as u8);
        let initiation = Initiation::new(0x0403_0201, &noise);
        let bytes = initiation.as_bytes();
        let in_initiation = |name| field(&INITIATION_LAYOUT, name, bytes);
        assert_eq!(in_initiation("sender"), [1, 2, 3, 4]);
        assert_eq!(
            in_initiation("unencrypted_ephemeral"),
            initiation.ephemeral()
        );
        assert_eq!(
            in_initiation("encrypted_static"),
            initiation.sealed_static()
        );
        let timestamp = initiation.sealed_timestamp();
        assert_eq!(in_initiation("encrypted_timestamp"), timestamp);

        let response = Response::new(0x0403_0201, 0x0807_0605, noise.first_chunk().unwrap());
        let bytes = response.as_bytes();
        let in_response = |name| field(&RESPONSE_LAYOUT, name, bytes);
        assert_eq!(in_response("sender"), [1, 2, 3, 4]);
        assert_eq!(in_response("receiver"), [5, 6, 7, 8]);
        assert_eq!(in_response("unencrypted_ephemeral"), response.ephemeral());
        assert_eq!(in_response("encrypted_nothing"), response.sealed_nothing());

        let (nonce, sealed) = (noise.first_chunk().unwrap(), noise.last_chunk().unwrap());
        let reply = CookieReply::new(0x0403_0201, nonce, sealed);
        let bytes = reply.as_bytes();
        let in_reply = |name| field(&COOKIE_REPLY_LAYOUT, name, bytes);
        assert_eq!(in_reply("receiver"), [1, 2, 3, 4]);
        assert_eq!(in_reply("nonce"), nonce);
        assert_eq!(in_reply("encrypted_cookie"), sealed);
    }

    #[test]
    fn errors_name_the_field() {
        let message = |bytes: &[u8]| INITIATION_LAYOUT.check(bytes).unwrap_err().to_string();
        let response = [&[2, 0, 0, 0][..], &[0; 88]].concat();
        assert_eq!(
            message(&response),
            "type: 2 (response) instead of 1 (initiation)"
        );
        assert_eq!(message(&[9; 148]), "type: 9 instead of 1 (initiation)");
        let reserved = [&[1, 0, 10, 0][..], &[0; 144]].concat();
        assert_eq!(message(&reserved), "reserved: 000a00 instead of 000000");
        assert_eq!(message(&[1, 0, 0, 0, 0]), "length: 5 bytes instead of 148");
        assert_eq!(message(&[]), "length: 0 bytes instead of 148");
        let error = DATA_LAYOUT.check(&[4, 0, 0, 0]).unwrap_err();
        assert_eq!(error.to_string(), "length: 4 bytes instead of at least 32");
    }

    proptest! {
        /// People and the device judge alike.
        #[test]
        fn what_is_a_message_here_is_one_there(
            kind in 0u8..6,
            reserved in prop_oneof![Just([0; 3]), any::<[u8; 3]>()],
            len in prop_oneof![Just(31usize), Just(32), Just(64), Just(92), Just(148), 0usize..200],
        ) {
            let mut bytes = vec![7; len.max(4)];
            bytes[0] = kind;
            bytes[1..4].copy_from_slice(&reserved);
            bytes.truncate(len);
            let is_message = |kind| Layout::of(kind).unwrap().check(&bytes).is_ok();
            prop_assert_eq!(is_message(1), Initiation::parse(&bytes).is_some());
            prop_assert_eq!(is_message(2), Response::parse(&bytes).is_some());
            prop_assert_eq!(is_message(3), CookieReply::parse(&bytes).is_some());
            prop_assert_eq!(is_message(4), DataMessage::parse(&bytes).is_some());
        }
    }
}
