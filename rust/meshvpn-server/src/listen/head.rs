//! The head of a connection's first request, looked at without being taken.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use super::read_ahead::ReadAhead;

/// Longest head; browsers and proxies send a few hundred bytes.
pub(super) const MOST_BYTES: usize = 16 << 10;
/// Most header fields.
const MOST_FIELDS: usize = 64;

/// What a connection wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// To be a client of the relay.
    Derp {
        /// Bytes of the head.
        len: usize,
        /// It wants no answer to it.
        is_fast: bool,
    },
    /// Something else, or nothing that we understand: a library gives the right answer.
    Other,
}

impl Head {
    /// Waits for the whole head.
    pub(super) async fn peek<S>(stream: &mut ReadAhead<S>) -> io::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            if let Some(head) = Self::parse(stream.peeked()) {
                return Ok(head);
            }
            if stream.peeked().len() >= MOST_BYTES {
                return Ok(Self::Other);
            }
            if stream.peek_more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// `None` when the head is not whole yet.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        let len = match request.parse(bytes) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) => return None,
            Err(_) => return Some(Self::Other),
        };
        let field = |name: &str| {
            let known = request.headers.iter();
            let field = known.filter(|field| field.name.eq_ignore_ascii_case(name));
            field.map(|field| field.value).next()
        };
        let path = request.path.map(|path| path.split('?').next());
        let wants_derp = request.method == Some("GET")
            && path == Some(Some("/derp"))
            && field("upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"derp"));
        Some(if wants_derp {
            let is_fast = field("derp-fast-start") == Some(b"1");
            Self::Derp { len, is_fast }
        } else {
            Self::Other
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DERP: &str =
        "GET /derp HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: DERP\r\n\r\n";

    #[test]
    fn only_an_upgrade_of_that_path_is_for_the_relay() {
        let len = DERP.len();
        let derp = |is_fast, len| Some(Head::Derp { len, is_fast });
        let fast = DERP.replace("Host: x", "Host: x\r\nDerp-Fast-Start: 1");
        for (request, expected) in [
            (DERP.to_owned(), derp(false, len)),
            (
                DERP.to_ascii_lowercase()
                    .replace("get", "GET")
                    .replace("http/", "HTTP/"),
                derp(false, len),
            ),
            (format!("{DERP}\x01\0\0"), derp(false, len)),
            (fast.clone(), derp(true, fast.len())),
            (DERP.replace("/derp", "/derp/probe"), Some(Head::Other)),
            (DERP.replace("GET", "POST"), Some(Head::Other)),
            (DERP.replace("DERP", "websocket"), Some(Head::Other)),
            ("\x16\x03\x01 no HTTP\r\n\r\n".to_owned(), Some(Head::Other)),
        ] {
            assert_eq!(Head::parse(request.as_bytes()), expected, "{request:?}");
        }
        for cut in 0..len {
            assert_eq!(Head::parse(&DERP.as_bytes()[..cut]), None, "cut at {cut}");
        }
    }
}
