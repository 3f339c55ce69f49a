//! Keys for captures that want them: enough to read every session that begins while they run.

use std::io;
use std::sync::Arc;

use meshvpn_proto::wireguard::{Event, key_log};
use tracing::info;

use super::driver::{Driver, now};
use crate::capture::taps::Tap;

impl Driver<'_> {
    /// Lets a capture listen, with all keys from now on.
    ///
    /// # Errors
    /// When there is nothing to listen to any more.
    pub(super) fn reveal_to(&mut self, tap: Arc<Tap>) -> io::Result<()> {
        // Before anything that it decrypts.
        if let Some(key) = self.machine.private_key() {
            tap.reveal(key_log::identity(key));
        }
        self.plane.taps().attach(tap)?;
        self.machine.reveal_secrets(true);
        let sessions = self.machine.renew_sessions(now());
        let device = &self.name;
        info!(
            device,
            sessions, "keys go into a capture; peers with sessions from before get new ones"
        );
        Ok(())
    }

    /// Tells captures that we are somebody else now.
    pub(super) fn reveal_identity(&self) {
        if let Some(key) = self.machine.private_key() {
            self.plane.taps().reveal(&key_log::identity(key));
        }
    }

    /// Tells captures what an event reveals. To be called before anything is sent.
    pub(super) fn reveal(&mut self, event: &Event) {
        let Event::EphemeralKey {
            peer,
            key,
            preshared_key,
            ..
        } = event
        else {
            return;
        };
        let lines = key_log::handshake(peer, key, preshared_key.as_ref());
        if !self.plane.taps().reveal(&lines) {
            // Nobody wants to know any more.
            self.machine.reveal_secrets(false);
        }
    }
}
