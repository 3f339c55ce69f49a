//! Text from a configuration, as an error may repeat it.

use core::fmt;

/// Characters of a value that are shown: enough to find it by.
const MOST: usize = 64;
/// As many characters in a row as this, and they could be a part of a key in base64 or hex: 20 of
/// base64 are 120 of its 256 bits. Names and addresses have their dots and colons before that.
const LIKE_A_KEY: usize = 20;

/// A value that was refused, cut to a length for people, in quotes; or, where it could be a key, in
/// whatever field it was found, a remark instead of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    /// What may be shown of `text`.
    pub fn new(text: &str) -> Self {
        if could_be_a_key(text) {
            return Self("(not shown: it could be a key)".to_owned());
        }
        let mut characters = text.chars();
        let start: String = characters.by_ref().take(MOST).collect();
        let rest = if characters.next().is_some() {
            "…"
        } else {
            ""
        };
        Self(format!("{start:?}{rest}"))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn could_be_a_key(text: &str) -> bool {
    let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(byte);
    let runs = text.as_bytes().split(|byte| !is_inside(byte));
    runs.map(<[u8]>::len).any(|len| len >= LIKE_A_KEY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_unless_it_could_be_a_key() {
        let shown = |text: &str| Shown::new(text).to_string();
        assert_eq!(shown("10.0.0.0/33"), "\"10.0.0.0/33\"");
        assert_eq!(shown("a\"\n\u{1b}[2J"), r#""a\"\n\u{1b}[2J""#);
        assert_eq!(shown("vpn.example.org:51820"), "\"vpn.example.org:51820\"");
        assert_eq!(shown(&"a ".repeat(40)), format!("\"{}\"…", "a ".repeat(32)));
        for key in [
            "kAXdZkhhvzWnwuoVLSRR",
            "endpoint kAXdZkhhvzWnwuoVLSRR+93hRHdwh7cmRUrZ5DPXUXA=",
            &"0".repeat(64),
        ] {
            assert_eq!(shown(key), "(not shown: it could be a key)");
        }
    }
}
