//! The lines by which Wireshark and its kin are told the keys of recorded traffic.
//!
//! ```text
//! LOCAL_STATIC_PRIVATE_KEY = AKeZaHwBxjiKLFnkY2unvEdOTtg4AL+M9dQXfopFVFk=      our identity
//! REMOTE_STATIC_PUBLIC_KEY = YDCttCs9e1J52/g9vEnwJJa+2x6RqaayAYMpSVQfGEY=      the peer's
//! LOCAL_EPHEMERAL_PRIVATE_KEY = sLGLJSOQfyz7JNJ5ZDzFf3Uz1rkiCMMjbWerNYcPFFU=   ours in one handshake
//! PRESHARED_KEY = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=                 of that handshake
//! ```
//!
//! A reader must know our identity before it sees a handshake that others begin, and the keys of a handshake
//! before it sees our message of it. A pre-shared key belongs to the ephemeral key in the line before. With all
//! of them, both the handshake and its session can be read; whoever has only the identity reads no session.

use zeroize::Zeroizing;

use crate::keys::{PresharedKey, PrivateKey, PublicKey};

/// Reveals who we are.
pub fn identity(key: &PrivateKey) -> Zeroizing<String> {
    let key = key.to_base64();
    lines(&[("LOCAL_STATIC_PRIVATE_KEY", &key)])
}

/// Reveals a handshake with `peer`: our ephemeral key in it, and what both sides mixed in.
pub fn handshake(
    peer: &PublicKey,
    ephemeral: &PrivateKey,
    preshared: Option<&PresharedKey>,
) -> Zeroizing<String> {
    let (peer, ephemeral) = (peer.to_base64(), ephemeral.to_base64());
    let preshared = preshared.map(PresharedKey::to_base64);
    let keys = [
        ("REMOTE_STATIC_PUBLIC_KEY", Some(peer.as_str())),
        ("LOCAL_EPHEMERAL_PRIVATE_KEY", Some(ephemeral.as_str())),
        ("PRESHARED_KEY", preshared.as_ref().map(|key| key.as_str())),
    ];
    let known = keys.iter().filter_map(|(name, key)| Some((*name, (*key)?)));
    lines(&known.collect::<Vec<_>>())
}

fn lines(keys: &[(&str, &str)]) -> Zeroizing<String> {
    // Room for all of it: a buffer that grew would leave copies behind.
    let mut out = Zeroizing::new(String::with_capacity(keys.len() * 80));
    for (name, key) in keys {
        for piece in [name, " = ", key, "\n"] {
            out.push_str(piece);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_wireshark_reads() {
        let key = PrivateKey::new([1; 32]);
        let psk = PresharedKey::new([2; 32]);
        let peer = PublicKey::new([3; 32]);
        let private = "AAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAUE=";
        assert_eq!(
            *identity(&key),
            format!("LOCAL_STATIC_PRIVATE_KEY = {private}\n")
        );
        let common =
            format!("REMOTE_STATIC_PUBLIC_KEY = {peer}\nLOCAL_EPHEMERAL_PRIVATE_KEY = {private}\n");
        assert_eq!(*handshake(&peer, &key, None), common);
        let with_psk = handshake(&peer, &key, Some(&psk));
        let psk = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
        assert_eq!(*with_psk, format!("{common}PRESHARED_KEY = {psk}\n"));
        assert!(with_psk.len() <= with_psk.capacity() && with_psk.len() < 240);
    }
}
