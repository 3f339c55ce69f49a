//! What every AEAD backend must do, as the forwarder sees it: through the seam.
//!
//! No complete published vector fits the seam; `src/aead/vectors.rs` runs those one level below.
//! Here the cipher vector of RFC 8439 that does fit ties the counter to the nonce, and the backends
//! are held against each other.

use std::panic::{AssertUnwindSafe, catch_unwind};

use meshvpn_engine::aead::Backend;
use meshvpn_proto::session::aead::{Aead, Key, MAX_BATCH, Open, Portable, Seal, TAG_LEN};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// Longer than any packet of a path with jumbo frames.
const MAX_LEN: usize = 9000;

/// Stands on both sides of every output. Odd, so that outputs are not aligned.
const GUARD: [u8; 61] = [0x5c; 61];

/// RFC 8439 section 2.4.2. Its nonce begins with four zero bytes and its block counter with 1,
/// where the AEAD begins as well, so the ciphertext is the seam's for that key and counter.
#[test]
fn rfc8439_2_4_2_ciphertext_holds() {
    let plaintext = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip \
        for the future, sunscreen would be it.";
    let ciphertext = "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b\
        f91b65c5524733ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d8\
        07ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736\
        5af90bbf74a35be6b40b8eedf2785e42874d";
    let key = Key::new(std::array::from_fn(|i| i as u8));
    let counter = u64::from_le_bytes([0, 0, 0, 0x4a, 0, 0, 0, 0]);
    for mut aead in backends() {
        let packet = Packet {
            key: &key,
            counter,
            text: plaintext.to_vec(),
        };
        let sealed = seal(&mut *aead, &[packet]).remove(0);
        let digits: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digits[..ciphertext.len()], *ciphertext, "{}", aead.name());
        assert_eq!(sealed.len(), plaintext.len() + TAG_LEN);
    }
}

#[test]
fn every_short_length_is_sealed_alike_and_opened_again() {
    let key = Key::new([3; 32]);
    for mut aead in backends() {
        // Around every block boundary of the ciphers' wide loops (16 blocks of 64 bytes).
        for len in 0..=1100 {
            let packets = [Packet {
                key: &key,
                counter: len as u64,
                text: vec![len as u8; len],
            }];
            let sealed = seal(&mut *aead, &packets);
            assert_eq!(
                sealed,
                seal(&mut Portable, &packets),
                "{} at {len}",
                aead.name()
            );
            assert_eq!(
                open(&mut *aead, &packets, &sealed),
                [Some(packets[0].text.clone())]
            );
        }
    }
}

#[test]
fn every_changed_bit_of_a_packet_is_noticed() {
    let key = Key::new([4; 32]);
    let packets = [Packet {
        key: &key,
        counter: 5,
        text: (0..70).collect(),
    }];
    for mut aead in backends() {
        let sealed = seal(&mut *aead, &packets).remove(0);
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                open(&mut *aead, &packets, &[changed]),
                [None],
                "{} {bit}",
                aead.name()
            );
        }
    }
}

#[test]
fn buffers_that_do_not_fit_each_other_are_refused() {
    let key = Key::new([6; 32]);
    for mut aead in backends() {
        for wrong in [0, TAG_LEN - 1, 100 + TAG_LEN - 1, 100 + TAG_LEN + 1] {
            let mut out = vec![0; wrong];
            let job = Seal {
                key: &key,
                counter: 1,
                plaintext: &[9; 100],
                out: &mut out,
            };
            let refused = catch_unwind(AssertUnwindSafe(|| aead.seal(&mut [job]))).is_err();
            assert!(refused, "{} seals 100 bytes into {wrong}", aead.name());
        }
        for wrong in [0, 100 - 1, 100 + 1] {
            let (sealed, mut out) = ([9; 100 + TAG_LEN], vec![0; wrong]);
            let job = Open {
                key: &key,
                counter: 1,
                sealed: &sealed,
                out: &mut out,
                valid: false,
            };
            let refused = catch_unwind(AssertUnwindSafe(|| aead.open(&mut [job]))).is_err();
            assert!(refused, "{} opens 100 bytes into {wrong}", aead.name());
        }
    }
}

/// Without this, a machine that should have the library would pass without testing it.
#[test]
fn ipsec_mb_runs_where_everything_must_be_tested() {
    if std::env::var("MESHVPN_REQUIRE_ALL").is_ok_and(|value| value == "1") {
        assert!(
            Backend::IpsecMb.start().is_ok(),
            "{}",
            Backend::IpsecMb.standing()
        );
    }
}

proptest! {
    #[test]
    fn backends_agree_on_every_batch(batch in batches()) {
        let keys = keys();
        let packets = batch.packets(&keys);
        let expected = seal(&mut Portable, &packets);
        for mut aead in backends() {
            prop_assert_eq!(&seal(&mut *aead, &packets), &expected, "{} seals", aead.name());
            for (packet, opened) in packets.iter().zip(open(&mut *aead, &packets, &expected)) {
                prop_assert_eq!(opened.as_ref(), Some(&packet.text), "{} opens", aead.name());
            }
        }
    }

    #[test]
    fn a_damaged_packet_is_refused_and_its_neighbours_are_not(
        batch in batches(), victim: Index, damage in damages(),
    ) {
        let keys = keys();
        let mut packets = batch.packets(&keys);
        let mut sealed = seal(&mut Portable, &packets);
        let victim = victim.index(packets.len());
        damage.apply(&mut packets[victim], &mut sealed[victim]);
        for mut aead in backends() {
            for (i, opened) in open(&mut *aead, &packets, &sealed).iter().enumerate() {
                let expected = (i != victim).then_some(&packets[i].text);
                prop_assert_eq!(opened.as_ref(), expected, "{} opens {}", aead.name(), i);
            }
        }
    }
}

/// A packet before sealing.
struct Packet<'a> {
    key: &'a Key,
    counter: u64,
    text: Vec<u8>,
}

/// Every backend that runs here.
fn backends() -> impl Iterator<Item = Box<dyn Aead>> {
    Backend::ALL
        .into_iter()
        .filter_map(|backend| backend.start().ok())
}

/// Seals all packets in one batch and shows that nothing was written beside them.
fn seal(aead: &mut dyn Aead, packets: &[Packet<'_>]) -> Vec<Vec<u8>> {
    let lengths = packets.iter().map(|packet| packet.text.len() + TAG_LEN);
    let mut outs: Vec<_> = lengths.map(Guarded::new).collect();
    let jobs = packets.iter().zip(&mut outs).map(|(packet, out)| Seal {
        key: packet.key,
        counter: packet.counter,
        plaintext: &packet.text,
        out: out.inside(),
    });
    aead.seal(&mut jobs.collect::<Vec<_>>());
    outs.into_iter().map(Guarded::into_inside).collect()
}

/// Opens all packets in one batch: the plaintext of each valid one. Shows that a refused one is
/// left as zeros and that nothing was written beside any.
fn open(aead: &mut dyn Aead, packets: &[Packet<'_>], sealed: &[Vec<u8>]) -> Vec<Option<Vec<u8>>> {
    let mut outs: Vec<_> = sealed
        .iter()
        .map(|s| Guarded::new(s.len() - TAG_LEN))
        .collect();
    let jobs = packets.iter().zip(sealed).zip(&mut outs);
    let mut jobs: Vec<_> = jobs
        .map(|((packet, sealed), out)| Open {
            key: packet.key,
            counter: packet.counter,
            sealed,
            out: out.inside(),
            // The wrong way round, so that a backend that forgets to say is noticed.
            valid: packet.counter % 2 == 0,
        })
        .collect();
    aead.open(&mut jobs);
    let valid: Vec<_> = jobs.iter().map(|job| job.valid).collect();
    let opened = valid.into_iter().zip(outs).map(|(valid, out)| {
        let text = out.into_inside();
        assert!(
            valid || text.iter().all(|byte| *byte == 0),
            "a refused packet leaves zeros"
        );
        valid.then_some(text)
    });
    opened.collect()
}

/// An output with a guard on both sides.
struct Guarded(Vec<u8>);

impl Guarded {
    fn new(len: usize) -> Self {
        Self([&GUARD[..], &vec![0xaa; len], &GUARD].concat())
    }

    fn inside(&mut self) -> &mut [u8] {
        let end = self.0.len() - GUARD.len();
        &mut self.0[GUARD.len()..end]
    }

    fn into_inside(mut self) -> Vec<u8> {
        let inside = self.inside().to_vec();
        let after = &self.0[GUARD.len() + inside.len()..];
        assert!(
            self.0.starts_with(&GUARD) && after == GUARD,
            "written beside the output"
        );
        inside
    }
}

/// The keys that a generated batch draws from: few, so that some packets share one.
fn keys() -> [Key; 3] {
    [1, 2, 3].map(|byte| Key::new([byte; 32]))
}

/// For each packet: which key, the counter, the length, and a byte that its content follows from.
#[derive(Debug, Clone)]
struct Batch(Vec<(usize, u64, usize, u8)>);

impl Batch {
    fn packets<'a>(&self, keys: &'a [Key]) -> Vec<Packet<'a>> {
        let packet = |&(key, counter, len, seed): &(usize, u64, usize, u8)| Packet {
            key: &keys[key],
            counter,
            text: (0..len)
                .map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed))
                .collect(),
        };
        self.0.iter().map(packet).collect()
    }
}

fn batches() -> impl Strategy<Value = Batch> {
    let packet = (0..keys().len(), any::<u64>(), 0..=MAX_LEN, any::<u8>());
    vec(packet, 1..=MAX_BATCH).prop_map(Batch)
}

/// What may have happened to a packet on its way.
#[derive(Debug, Clone)]
enum Damage {
    /// A byte was changed.
    Byte(Index, u8),
    /// Its end was cut off, down to the tag's length at most.
    Cut(Index),
    /// It claims another number.
    Counter(u64),
}

impl Damage {
    fn apply(&self, packet: &mut Packet<'_>, sealed: &mut Vec<u8>) {
        match self {
            Self::Byte(at, change) => {
                let at = at.index(sealed.len());
                sealed[at] ^= change;
            }
            Self::Cut(at) if sealed.len() > TAG_LEN => {
                sealed.truncate(TAG_LEN + at.index(sealed.len() - TAG_LEN));
            }
            Self::Cut(_) => sealed[0] ^= 1,
            Self::Counter(change) => packet.counter ^= change,
        }
    }
}

fn damages() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<Index>(), 1..=u8::MAX).prop_map(|(at, change)| Damage::Byte(at, change)),
        any::<Index>().prop_map(Damage::Cut),
        (1..=u64::MAX).prop_map(Damage::Counter),
    ]
}
