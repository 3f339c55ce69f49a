//! One node's connection, as the coordinator's side of it: the channel, and how long it waits for what.
//!
//! Pure as well. It stands between the bytes of one connection and the [`Coordinator`](super::Coordinator), so that
//! the work of many connections can be done side by side, and what one sends can harm no other.

use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use meshvpn_proto::control::channel::{Accepted, Channel, ChannelError, accept};
use meshvpn_proto::control::messages::{CoordinatorMessage, NodeMessage, Reason, Refusal};
use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::noise::identity::Identity;

/// For a connection to become a channel, and for the channel's first message.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A node says something every 25 seconds; three times that, and it is gone.
const IDLE: Duration = Duration::from_secs(75);

/// The coordinator's side of a connection.
#[derive(Debug)]
pub struct Connection {
    stage: Stage,
    deadline: Instant,
}

#[derive(Debug)]
enum Stage {
    New(Arc<Identity>, Box<PrivateKey>),
    Open(Box<Channel>, PublicKey),
    Ended,
}

/// What a message of bytes means.
#[derive(Debug)]
pub enum Step {
    /// Nothing yet.
    Wait,
    /// Send this.
    Answer(Vec<u8>),
    /// The node with this machine key says this.
    Message(PublicKey, NodeMessage),
    /// The connection is of no use any more: send these, and close it. The text is for the log.
    End(Vec<Vec<u8>>, String),
}

impl Connection {
    /// A connection that was opened now. `identity` is the coordinator's and open; `ephemeral` must be new,
    /// random, and never used again.
    pub fn new(now: Instant, identity: Arc<Identity>, ephemeral: PrivateKey) -> Self {
        Self {
            stage: Stage::New(identity, Box::new(ephemeral)),
            deadline: now + HANDSHAKE,
        }
    }

    /// A message of bytes has come.
    pub fn handle_message(&mut self, now: Instant, bytes: &[u8]) -> Step {
        match core::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::New(identity, ephemeral) => match accept(&identity, *ephemeral, bytes) {
                Ok(accepted) => {
                    let Accepted {
                        channel,
                        machine_key,
                        answer,
                        ..
                    } = accepted;
                    self.stage = Stage::Open(Box::new(channel), machine_key);
                    Step::Answer(answer)
                }
                Err((error, answer)) => Step::End(vec![answer], error.to_string()),
            },
            Stage::Open(mut channel, machine_key) => {
                let step = open(&mut channel, machine_key, bytes);
                if let Step::End(..) = step {
                    return step;
                }
                if let Step::Message(..) = step {
                    self.deadline = now + IDLE;
                }
                self.stage = Stage::Open(channel, machine_key);
                step
            }
            Stage::Ended => Step::Wait,
        }
    }

    /// The frames that carry a message of the coordinator; none when the connection has ended.
    pub fn seal(&mut self, message: &[u8]) -> Vec<Vec<u8>> {
        match &mut self.stage {
            Stage::Open(channel, _) => channel.seal(message),
            _ => Vec::new(),
        }
    }

    /// When to give the connection up unless something comes.
    pub fn poll_timeout(&self) -> Instant {
        self.deadline
    }
}

fn open(channel: &mut Channel, machine_key: PublicKey, bytes: &[u8]) -> Step {
    let message = match channel.open(bytes) {
        Ok(Some(message)) => message,
        Ok(None) => return Step::Wait,
        // Who sent that is not certain, and what is sealed would not be understood.
        Err(error @ ChannelError::NotAuthentic) => return Step::End(Vec::new(), error.to_string()),
        Err(error) => return end(channel, &error.to_string()),
    };
    match NodeMessage::parse(&message) {
        Ok(message) => Step::Message(machine_key, message),
        Err(error) => end(channel, &error.to_string()),
    }
}

fn end(channel: &mut Channel, reason: &str) -> Step {
    let refusal = Refusal::new(Reason::Protocol, reason);
    let message = CoordinatorMessage::Refused(refusal).to_json();
    Step::End(channel.seal(&message), reason.to_owned())
}
