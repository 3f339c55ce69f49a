use proptest::prelude::*;

use super::{KeyDefect, KeyError, KeyKind, PresharedKey, PrivateKey, PublicKey};

/// RFC 7748, section 6.1.
const ALICE: &str = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
const ALICE_CLAMPED: &str = "70076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c6a";
const ALICE_PUBLIC: &str = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";

#[test]
fn the_public_key_is_that_of_rfc_7748() {
    let key = PrivateKey::from_hex(ALICE).unwrap();
    assert_eq!(key.public_key().to_hex(), ALICE_PUBLIC);
    assert_eq!(*key.to_hex(), ALICE_CLAMPED);
}

#[test]
fn base64_is_what_wg_prints() {
    // Made with: wg genkey | tee /dev/stderr | wg pubkey
    let key = PrivateKey::from_base64("kAXdZkhhvzWnwuoVLSRR+93hRHdwh7cmRUrZ5DPXUXA=").unwrap();
    let public = "8Mb922FqdzHUr7UDrDQWlJ1/N6au7IqSwyq6B4uMSUc=";
    assert_eq!(key.public_key().to_string(), public);
    assert_eq!(public.parse(), Ok(key.public_key()));
    assert_eq!(
        format!("{:?}", key.public_key()),
        format!("PublicKey({public})")
    );
}

#[test]
fn nothing_shows_a_secret() {
    let key = PrivateKey::from_hex(ALICE).unwrap();
    assert_eq!(format!("{key:?}"), "PrivateKey(secret)");
    assert_eq!(
        format!("{:?}", PresharedKey::new([7; 32])),
        "PresharedKey(secret)"
    );
    let half = &key.to_base64()[..40];
    let error = PrivateKey::from_base64(half).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(&half[..8]));
    assert_eq!(
        error.to_string(),
        "private key: 40 bytes instead of the 44 characters of a key in base64; \
         make one with: meshvpn genkey"
    );
}

#[test]
fn what_is_not_exactly_a_key_is_refused() {
    let good = PublicKey::new([0xfb; 32]).to_base64();
    assert_eq!(good, "+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s=");
    for (bad, defect) in [
        (String::new(), KeyDefect::Base64Length(0)),
        (format!("{good}\n"), KeyDefect::Base64Length(45)),
        (good.replace('=', "A"), KeyDefect::NotBase64),
        // 33 bytes would be 44 characters too, and so would 31.
        (good.replace("s=", "=="), KeyDefect::NotBase64),
        // Bits that no byte takes must be zero, or two texts would be one key.
        (good.replace("s=", "t="), KeyDefect::NotBase64),
        // The alphabet for URLs is another one.
        (
            good.replace('+', "-").replace('/', "_"),
            KeyDefect::NotBase64,
        ),
        (good.replacen("v7", "v ", 1), KeyDefect::NotBase64),
        (good.replacen("v7", "é", 1), KeyDefect::NotBase64),
    ] {
        let kind = KeyKind::Public;
        assert_eq!(
            PublicKey::from_base64(&bad),
            Err(KeyError { kind, defect }),
            "{bad:?}"
        );
    }
    let hex_defect = |text: &str| PublicKey::from_hex(text).unwrap_err().defect;
    assert_eq!(hex_defect(&ALICE[1..]), KeyDefect::HexLength(63));
    assert_eq!(hex_defect(&ALICE.replace("77", "7g")), KeyDefect::NotHex);
    assert_eq!(hex_defect(&ALICE.replace("77", "é")), KeyDefect::NotHex);
}

#[test]
fn zeros_are_no_secret() {
    let zeros = "0".repeat(64);
    let defect = KeyDefect::Zero;
    let kind = KeyKind::Private;
    assert_eq!(PrivateKey::from_hex(&zeros), Err(KeyError { kind, defect }));
    let kind = KeyKind::Preshared;
    assert_eq!(
        PresharedKey::from_hex(&zeros),
        Err(KeyError { kind, defect })
    );
    assert_eq!(PublicKey::from_hex(&zeros), Ok(PublicKey::new([0; 32])));
}

proptest! {
    #[test]
    fn every_key_reads_back_from_both_texts(bytes: [u8; 32]) {
        let private = PrivateKey::new(bytes);
        prop_assert_eq!(PrivateKey::from_base64(&private.to_base64()), Ok(private.clone()));
        prop_assert_eq!(PrivateKey::from_hex(&private.to_hex().to_uppercase()), Ok(private.clone()));
        prop_assert_eq!(PrivateKey::new(*private.expose()), private);
        let public = PublicKey::new(bytes);
        prop_assert_eq!(PublicKey::from_base64(&public.to_base64()), Ok(public));
        prop_assert_eq!(PublicKey::from_hex(&public.to_hex()), Ok(public));
        prop_assume!(bytes != [0; 32]);
        let preshared = PresharedKey::new(bytes);
        prop_assert_eq!(PresharedKey::from_base64(&preshared.to_base64()), Ok(preshared.clone()));
        prop_assert_eq!(PresharedKey::from_hex(&preshared.to_hex()), Ok(preshared));
    }

    /// The public key is the same however the three bits are set that clamping ignores.
    #[test]
    fn clamping_changes_no_public_key(bytes: [u8; 32], low in 0..8u8) {
        let mut other = bytes;
        other[0] = other[0] & !7 | low;
        other[31] ^= 0x80;
        prop_assert_eq!(
            PrivateKey::new(bytes).public_key(), PrivateKey::new(other).public_key(),
        );
    }
}
