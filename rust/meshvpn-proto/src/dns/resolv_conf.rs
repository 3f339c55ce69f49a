//! `/etc/resolv.conf`, by which a system is told whom to ask: read, written, and known again.
//!
//! A file of ours says so, and what was there before:
//!
//! ```text
//! # Written by meshvpn, which answers the mesh's names and passes all others on.
//! # What was here before is in resolv.conf.before-meshvpn, and comes back by itself.
//! # meshvpn before=file check=81b637d8fcd2c6da
//! nameserver 127.0.0.1
//! search mesh.internal example.com
//! options edns0
//! ```
//!
//! The check is a hash over everything but itself. So after a crash nobody needs to remember what was done:
//! a file that has our line and the right check is ours as we left it, and can be replaced by what was there;
//! one with a wrong check has been edited, and belongs to whoever did that.

use core::fmt::{self, Write};
use core::net::IpAddr;

use blake2::{Blake2s256, Digest};

/// What our line begins with.
const MARK: &str = "# meshvpn before=";
/// Bytes of the check: against accidents and editors, not against forgers, who own the file anyway.
const CHECK_LEN: usize = 8;
/// What is read of a file; real ones have a few hundred bytes.
const READ_MAX: usize = 64 * 1024;

/// What a resolver is told by such a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// Whom to ask, in order, on port 53.
    pub nameservers: Vec<Nameserver>,
    /// What short names are tried with.
    pub search: Vec<String>,
    /// The words of all `options` lines.
    pub options: Vec<String>,
}

/// A name server's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nameserver {
    /// Its address.
    pub address: IpAddr,
    /// The interface of a link-local address: `eth0` of `fe80::1%eth0`.
    pub interface: Option<String>,
}

/// What was in the place of a file of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// A file.
    File,
    /// A symbolic link.
    Symlink,
    /// Nothing.
    Nothing,
}

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// Ours, as we wrote it.
    Us(Before),
    /// Ours, changed by somebody since.
    Edited,
    /// Somebody else's.
    Others,
}

impl ResolvConf {
    /// Reads a file as resolv.conf(5) has it: the last `search` or `domain` counts, what is not understood is
    /// passed over.
    pub fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(&text[..text.len().min(READ_MAX)]);
        let mut file = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            // A comment begins with the line.
            let Some(keyword) = words.next().filter(|word| !word.starts_with(['#', ';'])) else {
                continue;
            };
            match keyword {
                "nameserver" => file
                    .nameservers
                    .extend(words.next().and_then(Nameserver::parse)),
                "search" => file.search = words.map(str::to_owned).collect(),
                "domain" => file.search = words.take(1).map(str::to_owned).collect(),
                "options" => file.options.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        file
    }

    /// The file for a system that had this one and shall ask `resolvers` from now on, and try short names
    /// with `domain` first. `backup` is the name of the file in which this one is kept.
    ///
    /// Nobody else is named in it: some libraries ask all servers at once and believe the first, and to others
    /// than us the mesh's names are unknown.
    pub fn taken_over(
        &self,
        before: Before,
        backup: &str,
        resolvers: &[IpAddr],
        domain: &str,
    ) -> String {
        let kept = match before {
            Before::Nothing => "Before, there was no such file; it goes by itself.".to_owned(),
            _ => format!("What was here before is in {backup}, and comes back by itself."),
        };
        let head = format!(
            "# Written by meshvpn, which answers the mesh's names and passes all others on.\n# {kept}\n"
        );
        let mut body = String::new();
        for resolver in resolvers {
            line(&mut body, "nameserver", [resolver.to_string()]);
        }
        let others = self.search.iter().filter(|other| *other != domain);
        let own = Some(domain.to_owned()).filter(|domain| !domain.is_empty());
        line(&mut body, "search", own.into_iter().chain(others.cloned()));
        line(&mut body, "options", self.options.iter().cloned());
        let check = check(&head, before, &body);
        format!("{head}{MARK}{before} check={check}\n{body}")
    }
}

impl Author {
    /// Whose file this is.
    pub fn of(text: &[u8]) -> Self {
        let Some((head, before, found, body)) = core::str::from_utf8(text).ok().and_then(split)
        else {
            // Not ours as we wrote it; perhaps once.
            let has_mark = text
                .windows(MARK.len())
                .any(|window| window == MARK.as_bytes());
            return if has_mark { Self::Edited } else { Self::Others };
        };
        if found == check(head, before, body) {
            Self::Us(before)
        } else {
            Self::Edited
        }
    }
}

impl Nameserver {
    fn parse(text: &str) -> Option<Self> {
        let (address, interface) = match text.split_once('%') {
            Some((address, interface)) => (address, Some(interface.to_owned())),
            None => (text, None),
        };
        let address = address.parse().ok()?;
        Some(Self { address, interface })
    }
}

impl fmt::Display for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Symlink => "symlink",
            Self::Nothing => "nothing",
        })
    }
}

/// What stands before our line, what it says, and what stands behind it.
fn split(text: &str) -> Option<(&str, Before, &str, &str)> {
    let (head, rest) = text.split_once(MARK)?;
    let (marked, body) = rest.split_once('\n')?;
    let (before, check) = marked.split_once(" check=")?;
    let before = [Before::File, Before::Symlink, Before::Nothing]
        .into_iter()
        .find(|known| known.to_string() == before)?;
    Some((head, before, check, body))
}

fn check(head: &str, before: Before, body: &str) -> String {
    let mut hash = Blake2s256::new();
    for part in [head, &before.to_string(), "\n", body] {
        hash.update(part);
    }
    base16ct::lower::encode_string(&hash.finalize()[..CHECK_LEN])
}

fn line(text: &mut String, keyword: &str, words: impl IntoIterator<Item = String>) {
    let words: Vec<_> = words.into_iter().collect();
    if !words.is_empty() {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{keyword} {}", words.join(" "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ORIGINAL: &str = "# Generated by NetworkManager\n\
        domain lan\n\
        search example.com corp.example.com\n\
        ; a comment\n\
        nameserver 192.0.2.1\n nameserver   2001:db8::1\n\
        nameserver fe80::1%eth0\n\
        nameserver no.address\n\
        sortlist 192.0.2.0/255.255.255.0\n\
        options edns0 ndots:2\noptions rotate\n";

    fn ours(before: Before) -> String {
        ResolvConf::parse(ORIGINAL.as_bytes()).taken_over(
            before,
            "resolv.conf.before-meshvpn",
            &["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
            "mesh.internal",
        )
    }

    #[test]
    fn a_file_is_read_as_its_manual_page_says() {
        let file = ResolvConf::parse(ORIGINAL.as_bytes());
        let addresses: Vec<_> = file
            .nameservers
            .iter()
            .map(|at| (at.address.to_string(), at.interface.as_deref()))
            .collect();
        assert_eq!(
            addresses,
            [
                ("192.0.2.1".into(), None),
                ("2001:db8::1".into(), None),
                ("fe80::1".into(), Some("eth0")),
            ]
        );
        assert_eq!(file.search, ["example.com", "corp.example.com"]);
        assert_eq!(file.options, ["edns0", "ndots:2", "rotate"]);
        let domain = ResolvConf::parse(b"search a b\ndomain c d\n");
        assert_eq!(domain.search, ["c"]);
    }

    #[test]
    fn our_file_asks_us_alone_and_keeps_the_rest() {
        let file = ResolvConf::parse(ours(Before::File).as_bytes());
        let addresses: Vec<_> = file.nameservers.iter().map(|at| at.address).collect();
        assert_eq!(
            addresses,
            [
                "127.0.0.1".parse::<IpAddr>().unwrap(),
                "::1".parse().unwrap()
            ]
        );
        assert_eq!(
            file.search,
            ["mesh.internal", "example.com", "corp.example.com"]
        );
        assert_eq!(file.options, ["edns0", "ndots:2", "rotate"]);
    }

    #[test]
    fn our_file_is_known_again_and_so_is_a_change_to_it() {
        for before in [Before::File, Before::Symlink, Before::Nothing] {
            assert_eq!(Author::of(ours(before).as_bytes()), Author::Us(before));
        }
        assert_eq!(Author::of(ORIGINAL.as_bytes()), Author::Others);
        assert_eq!(Author::of(b""), Author::Others);
        let text = ours(Before::File);
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            assert!(!matches!(Author::of(&changed), Author::Us(_)), "byte {at}");
        }
        for changed in [
            format!("{text}nameserver 192.0.2.1\n"),
            text.replace("before=file", "before=nothing"),
            format!("# mine\n{text}"),
        ] {
            assert_eq!(Author::of(changed.as_bytes()), Author::Edited, "{changed}");
        }
    }

    proptest! {
        #[test]
        fn any_file_can_be_taken_over_and_known_again(text: Vec<u8>, lines in ".{0,200}") {
            for text in [&text[..], lines.as_bytes()] {
                let taken = ResolvConf::parse(text)
                    .taken_over(Before::File, "backup", &[[127, 0, 0, 1].into()], "mesh");
                prop_assert_eq!(Author::of(taken.as_bytes()), Author::Us(Before::File));
                prop_assert_eq!(ResolvConf::parse(taken.as_bytes()).nameservers.len(), 1);
            }
        }
    }
}
