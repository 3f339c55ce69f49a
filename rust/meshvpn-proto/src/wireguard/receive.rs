//! Handshake messages, from anyone: cheapest checks first.
//!
//! | check | costs | refused as |
//! |---|---|---|
//! | length, type | nothing | [`UnknownType`](DropReason::UnknownType) |
//! | a response or cookie names a handshake of ours | a look-up | [`UnknownSession`](DropReason::UnknownSession) |
//! | mac1 | a hash | [`BadMac1`](DropReason::BadMac1) |
//! | not under load; or mac2, and not too many from there | two hashes, if there is one | [`UnderLoad`](DropReason::UnderLoad), [`RateLimited`](DropReason::RateLimited) |
//! | sealed for us | a multiplication | [`BadHandshake`](DropReason::BadHandshake) |
//! | from a peer | a look-up | [`UnknownPeer`](DropReason::UnknownPeer) |
//! | newer than that peer's last | nothing | [`OldHandshake`](DropReason::OldHandshake) |

use super::{Own, WireGuard};
use crate::forward::{DropReason, Path};
use crate::noise::handshake::{HandshakeError, Responder};
use crate::noise::messages::{
    Authenticated, COOKIE_REPLY, CookieReply, INITIATION, Initiation, MAC_LEN, RESPONSE, Response,
};
use crate::time::Now;

use super::output::Transmit;

impl WireGuard {
    /// Takes a datagram that is no data message; `path` leads back to where it came from.
    ///
    /// # Errors
    /// Why it is dropped. Under load, the sender may have got a cookie.
    pub fn handle_datagram(
        &mut self,
        now: Now,
        path: Path,
        datagram: &[u8],
    ) -> Result<(), DropReason> {
        if !self.is_up {
            return Err(DropReason::DeviceDown);
        }
        let unknown = DropReason::UnknownType;
        match datagram.first() {
            Some(&INITIATION) => {
                let initiation = Initiation::parse(datagram).ok_or(unknown)?;
                self.handle_initiation(now, path, &initiation)
            }
            Some(&RESPONSE) => {
                let response = Response::parse(datagram).ok_or(unknown)?;
                self.handle_response(now, path, &response)
            }
            Some(&COOKIE_REPLY) => {
                let reply = CookieReply::parse(datagram).ok_or(unknown)?;
                self.handle_cookie(now, &reply)
            }
            _ => Err(unknown),
        }
    }

    fn handle_initiation(
        &mut self,
        now: Now,
        path: Path,
        initiation: &Initiation,
    ) -> Result<(), DropReason> {
        self.admit(now, path, initiation)?;
        let identity = &self.identity.as_ref().ok_or(DropReason::BadMac1)?.identity;
        let responder = Responder::read(identity, initiation).map_err(|error| match error {
            HandshakeError::Stranger => DropReason::UnknownPeer,
            _ => DropReason::BadHandshake,
        })?;
        let slot = self.by_key.get(responder.initiator());
        let slot = *slot.ok_or(DropReason::UnknownPeer)?;
        self.with_peer(now, slot, |peer, context| {
            peer.handle_initiation(context, path, initiation, responder)
        })
        .unwrap_or(Err(DropReason::UnknownPeer))
    }

    fn handle_response(
        &mut self,
        now: Now,
        path: Path,
        response: &Response,
    ) -> Result<(), DropReason> {
        let entry = self.table.indices.get(response.receiver());
        let handshake = entry.filter(|entry| entry.session.is_none());
        let slot = handshake.ok_or(DropReason::UnknownSession)?.slot;
        self.admit(now, path, response)?;
        self.with_peer(now, slot, |peer, context| {
            peer.handle_response(context, path, response)
        })
        .unwrap_or(Err(DropReason::UnknownSession))
    }

    fn handle_cookie(&mut self, now: Now, reply: &CookieReply) -> Result<(), DropReason> {
        // It may answer an initiation, whose number stands for a handshake, or a response, whose number
        // stands for a session already.
        let entry = self.table.indices.get(reply.receiver());
        let slot = entry.ok_or(DropReason::UnknownSession)?.slot;
        self.with_peer(now, slot, |peer, context| {
            peer.handle_cookie(context, reply)
        })
        .unwrap_or(Err(DropReason::UnknownSession))
    }

    /// Decides whether a message is worth a multiplication.
    fn admit(
        &mut self,
        now: Now,
        path: Path,
        message: &impl Authenticated,
    ) -> Result<(), DropReason> {
        let own = self.identity.as_mut();
        let Own { checker, .. } = own.ok_or(DropReason::BadMac1)?;
        let (now, source) = (now.instant, path.destination);
        if !checker.has_valid_mac1(message) {
            return Err(DropReason::BadMac1);
        }
        if !self.load.is_under(now) {
            return Ok(());
        }
        // Strangers bring none: that costs nothing to see.
        let (.., mac2) = message.parts();
        if *mac2 != [0; MAC_LEN] && checker.has_valid_mac2(now, message, source) {
            let is_admitted = self.load.admits(now, source);
            return is_admitted.then_some(()).ok_or(DropReason::RateLimited);
        }
        if self.load.may_send_cookie(now) {
            let reply = checker.reply(now, message, source, || self.entropy.draw());
            let datagram = reply.as_bytes().to_vec();
            self.transmits.push_back(Transmit {
                path,
                datagram,
                slot: None,
            });
        }
        Err(DropReason::UnderLoad)
    }
}
