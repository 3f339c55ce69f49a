//! Where a relay is, and how to know it.

use std::fmt;

use base64ct::{Base64, Encoding};
use meshvpn_proto::control::map::Relay;
use zeroize::Zeroizing;

/// A relay's address: from a URL, and the fingerprint of its certificate where no authority vouches for that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayAddress {
    /// A name, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_tls: bool,
    /// SHA-256 of the only certificate that it may show.
    pub(super) pinned: Option<[u8; 32]>,
}

/// A URL that is none of a relay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Another kind of URL, or none.
    #[error("relay url: {0} does not begin with http:// or https://")]
    Scheme(String),
    /// No host in it, or a port that is no number.
    #[error("relay url: {0} is not like https://relay.example or http://203.0.113.5:8080")]
    Authority(String),
    /// A fingerprint that is none.
    #[error("relay certificate_sha256: {0} bytes instead of 64 hex digits, or not hex")]
    Fingerprint(usize),
    /// A fingerprint where there is no certificate.
    #[error("relay certificate_sha256: {0} is not https://, so there is no certificate to compare")]
    Unused(String),
}

impl RelayAddress {
    /// From `http://host[:port]` or `https://host[:port]`, and the certificate's SHA-256 in hex. A path is ignored:
    /// a relay's is always `/derp`.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn parse(url: &str, certificate_sha256: Option<&str>) -> Result<Self, UrlError> {
        let (is_tls, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            _ => return Err(UrlError::Scheme(url.to_owned())),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (host, port) = split_authority(authority, if is_tls { 443 } else { 80 })
            .ok_or_else(|| UrlError::Authority(url.to_owned()))?;
        let pinned = match certificate_sha256 {
            None => None,
            Some(_) if !is_tls => return Err(UrlError::Unused(url.to_owned())),
            Some(hex) => {
                let mut sha256 = [0; 32];
                match base16ct::mixed::decode(hex, &mut sha256) {
                    Ok(bytes) if bytes.len() == 32 => {}
                    _ => return Err(UrlError::Fingerprint(hex.len())),
                }
                Some(sha256)
            }
        };
        Ok(Self {
            host,
            port,
            is_tls,
            pinned,
        })
    }

    /// As a map tells it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_map(relay: &Relay) -> Result<Self, UrlError> {
        Self::parse(&relay.url, relay.certificate_sha256.as_deref())
    }

    /// Host and port as HTTP writes them.
    pub(super) fn authority(&self) -> String {
        authority(&self.host, self.port)
    }
}

/// As a URL.
impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

/// An HTTP proxy that makes connections on request (`CONNECT`, RFC 9110 section 9.3.6).
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    /// `user:password` in base64. Never shown.
    pub(super) credentials: Option<Zeroizing<String>>,
}

impl Proxy {
    /// From `http://[user:password@]host[:port]`.
    ///
    /// # Errors
    /// It is not like that. The message does not repeat the password.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let shown = || url.rsplit('@').next().unwrap_or_default().to_owned();
        let Some(("http", rest)) = url.split_once("://") else {
            return Err(UrlError::Scheme(shown()));
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, authority),
        };
        let (host, port) =
            split_authority(authority, 80).ok_or_else(|| UrlError::Authority(shown()))?;
        let credentials = user.map(|user| Zeroizing::new(Base64::encode_string(user.as_bytes())));
        Ok(Self {
            host,
            port,
            credentials,
        })
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Host, without brackets, and port.
fn split_authority(authority: &str, default: u16) -> Option<(String, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            let port = port
                .strip_prefix(':')
                .or_else(|| port.is_empty().then_some(""));
            (host, port?)
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_plain) {
        return None;
    }
    let port = if port.is_empty() {
        default
    } else {
        port.parse().ok()?
    };
    Some((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_give_host_and_port() {
        for (url, shown) in [
            ("https://relay.example", "https://relay.example:443"),
            ("http://203.0.113.5:8080/", "http://203.0.113.5:8080"),
            ("HTTPS://[2001:db8::5]/derp", "https://[2001:db8::5]:443"),
            ("http://[2001:db8::5]:81?x", "http://[2001:db8::5]:81"),
        ] {
            assert_eq!(RelayAddress::parse(url, None).unwrap().to_string(), shown);
        }
        for url in [
            "",
            "relay.example",
            "ftp://x",
            "http://",
            "http://:80",
            "http://x:y",
            "http://x:99999",
            "http://[::1",
            "http://[::1]x",
            "http://a b",
            "http://a\r\nHost: b",
        ] {
            assert!(RelayAddress::parse(url, None).is_err(), "{url:?}");
        }
    }

    #[test]
    fn a_fingerprint_is_64_hex_digits_of_a_certificate() {
        let hex = "Ab".repeat(32);
        let pinned = RelayAddress::parse("https://x", Some(&hex)).unwrap().pinned;
        assert_eq!(pinned, Some([0xab; 32]));
        assert_eq!(
            RelayAddress::parse("https://x", Some(&hex[1..])),
            Err(UrlError::Fingerprint(63))
        );
        assert!(matches!(
            RelayAddress::parse("http://x", Some(&hex)),
            Err(UrlError::Unused(_))
        ));
    }

    #[test]
    fn a_proxys_password_is_not_shown() {
        let proxy = Proxy::parse("http://user:secret@proxy.example:3128").unwrap();
        assert_eq!((&*proxy.host, proxy.port), ("proxy.example", 3128));
        let credentials = proxy.credentials.as_deref().map(String::as_str);
        assert_eq!(credentials, Some("dXNlcjpzZWNyZXQ="));
        assert!(!format!("{proxy:?}").contains("dXNl"));
        for url in ["socks5://user:secret@x", "http://user:secret@:x"] {
            let error = Proxy::parse(url).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
