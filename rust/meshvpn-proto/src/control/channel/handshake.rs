//! How a channel begins, on both ends.

use core::str;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Channel, ChannelError, LONGEST_FRAME, LONGEST_FROM_COORDINATOR, LONGEST_FROM_NODE,
    NEWEST_VERSION, OLDEST_VERSION,
};
use crate::keys::{PrivateKey, PublicKey};
use crate::noise::identity::Identity;
use crate::noise::ik::Ik;

const MAGIC: [u8; 4] = *b"mesh";
/// Name and version of this program.
const SOFTWARE: &str = concat!("meshvpn ", env!("CARGO_PKG_VERSION"));
const HEADER_LEN: usize = 8;
/// Characters of a refusal's text that are looked at.
const LONGEST_REFUSAL: usize = 300;

/// What both sides say of themselves while they shake hands.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Greeting {
    /// Name and version of the program.
    #[serde(default)]
    software: String,
    /// The version that is spoken; only in the answer.
    #[serde(default)]
    version: Option<u16>,
}

/// A node that has begun and waits for the answer.
#[derive(Debug)]
pub struct Initiator(Ik);

impl Initiator {
    /// Begins: the second part is the first message. `identity` is the node's machine key; `ephemeral` must
    /// be new, random, and never used again.
    ///
    /// # Errors
    /// [`ChannelError::NotAuthentic`] when `coordinator` is a key on which everyone agrees.
    pub fn start(
        identity: &Arc<Identity>,
        coordinator: PublicKey,
        ephemeral: PrivateKey,
    ) -> Result<(Self, Vec<u8>), ChannelError> {
        Self::start_as(SOFTWARE, identity, coordinator, ephemeral)
    }

    /// The same for a program of another version.
    pub(in crate::control) fn start_as(
        software: &str,
        identity: &Arc<Identity>,
        coordinator: PublicKey,
        ephemeral: PrivateKey,
    ) -> Result<(Self, Vec<u8>), ChannelError> {
        let header = header(NEWEST_VERSION, OLDEST_VERSION);
        let mut noise = Ik::new(identity, Some(coordinator), &header, ephemeral);
        let message = noise.write(&greeting(software, None));
        let message = message.map_err(|_| ChannelError::NotAuthentic)?;
        Ok((Self(noise), [&header[..], &message].concat()))
    }

    /// Takes the answer: the channel, and the version of the protocol that is spoken on it.
    ///
    /// # Errors
    /// When the coordinator refuses, or it is not the coordinator who answers.
    pub fn finish(mut self, answer: &[u8]) -> Result<(Channel, u16), ChannelError> {
        let ([version, _], noise) = parse(answer)?;
        if version == 0 {
            return Err(ChannelError::Refused(readable(noise)));
        }
        let payload = self.0.read(noise);
        let payload = payload.map_err(|_| ChannelError::NotAuthentic)?;
        let greeting: Greeting = serde_json::from_slice(&payload).unwrap_or_default();
        let is_spoken = (OLDEST_VERSION..=NEWEST_VERSION).contains(&version);
        if !is_spoken || greeting.version != Some(version) {
            return Err(ChannelError::NotAuthentic);
        }
        let keys = self.0.split().map_err(|_| ChannelError::NotAuthentic)?;
        Ok((Channel::new(keys, LONGEST_FROM_COORDINATOR), version))
    }
}

/// What a coordinator makes of a first message.
#[derive(Debug)]
pub struct Accepted {
    /// The channel. Who is at its other end is certain once the first sealed message has come.
    pub channel: Channel,
    /// The node's machine key.
    pub machine_key: PublicKey,
    /// The version of the protocol that is spoken.
    pub version: u16,
    /// Name and version of the node's program, as it says.
    pub software: String,
    /// What to send.
    pub answer: Vec<u8>,
}

/// A coordinator's side of the handshake. `identity` must be [open](Identity::open): who may join is decided
/// later; `ephemeral` as in [`Initiator::start`].
///
/// # Errors
/// Why no channel begins, and what to send before hanging up.
pub fn accept(
    identity: &Arc<Identity>,
    ephemeral: PrivateKey,
    first: &[u8],
) -> Result<Accepted, (ChannelError, Vec<u8>)> {
    try_accept(identity, ephemeral, first).map_err(|error| {
        let text = error.to_string();
        (error, [&header(0, 0), text.as_bytes()].concat())
    })
}

fn try_accept(
    identity: &Arc<Identity>,
    ephemeral: PrivateKey,
    first: &[u8],
) -> Result<Accepted, ChannelError> {
    let ([newest, oldest], message) = parse(first)?;
    let version = newest.min(NEWEST_VERSION);
    if version < OLDEST_VERSION || version < oldest {
        return Err(ChannelError::Version { oldest, newest });
    }
    let mut noise = Ik::new(identity, None, &first[..HEADER_LEN], ephemeral);
    let payload = noise
        .read(message)
        .map_err(|_| ChannelError::NotAuthentic)?;
    let answer = noise.write(&greeting(SOFTWARE, Some(version)));
    let answer = answer.map_err(|_| ChannelError::NotAuthentic)?;
    let machine_key = noise.peer().ok_or(ChannelError::NotAuthentic)?;
    let keys = noise.split().map_err(|_| ChannelError::NotAuthentic)?;
    let greeting: Greeting = serde_json::from_slice(&payload).unwrap_or_default();
    Ok(Accepted {
        channel: Channel::new(keys, LONGEST_FROM_NODE),
        machine_key,
        version,
        software: readable(greeting.software.as_bytes()),
        answer: [&header(version, 0)[..], &answer].concat(),
    })
}

fn parse(message: &[u8]) -> Result<([u16; 2], &[u8]), ChannelError> {
    if message.len() > LONGEST_FRAME {
        return Err(ChannelError::FrameTooLong(message.len()));
    }
    match message.split_first_chunk::<HEADER_LEN>() {
        Some(([b'm', b'e', b's', b'h', a, b, c, d], rest)) => Ok((
            [u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])],
            rest,
        )),
        _ => Err(ChannelError::NotOurs),
    }
}

fn header(first: u16, second: u16) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..4].copy_from_slice(&MAGIC);
    header[4..6].copy_from_slice(&first.to_be_bytes());
    header[6..].copy_from_slice(&second.to_be_bytes());
    header
}

fn greeting(software: &str, version: Option<u16>) -> Vec<u8> {
    let greeting = Greeting {
        software: software.to_owned(),
        version,
    };
    serde_json::to_vec(&greeting).expect("text and a number")
}

/// Text from outside, fit for a log line.
fn readable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let shown = text.chars().filter(|character| !character.is_control());
    shown.take(LONGEST_REFUSAL).collect()
}
