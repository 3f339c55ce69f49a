//! From bytes to requests.

use std::collections::VecDeque;

use zeroize::{Zeroize, Zeroizing};

use crate::config::Shown;
use crate::keys::PrivateKey;

use super::change::{Change, DeviceChange};
use super::error::{RequestDefect, RequestError};
use super::peer_line::{PeerLines, number, secret, truth};
use super::{MAX_LINE, MAX_PEERS};

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// To know how the device is.
    Get,
    /// To change it.
    Set(Box<DeviceChange>),
}

/// One end of a connection: bytes in, whole requests out.
///
/// Feed what arrives to [`handle_bytes`](Self::handle_bytes), and then ask
/// [`poll_request`](Self::poll_request) until there is nothing more. Each request and each error wants one answer,
/// in this order.
#[derive(Debug)]
pub struct Requests {
    /// The beginning of a line whose end has not come yet. Never grows: what it held would stay in
    /// memory.
    pending: Zeroizing<Vec<u8>>,
    /// Lines of this request so far.
    line: usize,
    state: State,
    peer_lines: PeerLines,
    complete: VecDeque<Result<Request, RequestError>>,
}

#[derive(Debug)]
enum State {
    /// Between two requests.
    Idle,
    Get,
    Set(Box<DeviceChange>),
    /// A line was wrong; those up to the next empty one are passed over.
    Refused(RequestError),
    /// What comes now cannot be understood.
    Broken,
}

impl Requests {
    /// Begins a connection. `zone_index` gives the number of a network interface, for endpoints such
    /// as `[fe80::1%eth0]:51820`.
    pub fn new(zone_index: impl Fn(&str) -> Option<u32> + Send + 'static) -> Self {
        Self {
            pending: Zeroizing::new(Vec::with_capacity(MAX_LINE)),
            line: 0,
            state: State::Idle,
            peer_lines: PeerLines::new(Box::new(zone_index)),
            complete: VecDeque::new(),
        }
    }

    /// Takes in what arrived. The caller wipes its own copy: there are keys in it.
    pub fn handle_bytes(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            if self.pending.is_empty() {
                self.handle_line(line);
            } else if self.keep(line) {
                let mut whole = core::mem::take(&mut self.pending);
                self.handle_line(&whole);
                whole.zeroize(); // which empties it too, and leaves its room
                self.pending = whole;
            }
        }
        self.keep(bytes);
    }

    /// The client says nothing more. An error is for the log: nobody waits for an answer.
    ///
    /// # Errors
    ///
    /// The connection ended inside a request, nothing of which was applied.
    pub fn handle_end(&mut self) -> Result<(), RequestError> {
        let is_between = self.pending.is_empty() && matches!(self.state, State::Idle);
        if is_between || matches!(self.state, State::Broken) {
            return Ok(());
        }
        self.break_off(RequestDefect::Unfinished);
        self.complete
            .pop_back()
            .map_or(Ok(()), |last| last.map(drop))
    }

    /// The next request, or why there is none of it.
    pub fn poll_request(&mut self) -> Option<Result<Request, RequestError>> {
        self.complete.pop_front()
    }

    /// Keeps the beginning of a line; false when there is no room for it.
    fn keep(&mut self, bytes: &[u8]) -> bool {
        if matches!(self.state, State::Broken) {
            return false;
        }
        let has_room = self.pending.len() + bytes.len() <= MAX_LINE;
        if has_room {
            self.pending.extend_from_slice(bytes);
        } else {
            self.line += 1;
            self.break_off(RequestDefect::LineTooLong);
        }
        has_room
    }

    fn handle_line(&mut self, line: &[u8]) {
        if matches!(self.state, State::Broken) {
            return;
        }
        self.line += 1;
        if line.len() > MAX_LINE {
            return self.break_off(RequestDefect::LineTooLong);
        }
        let Ok(line) = core::str::from_utf8(line) else {
            return self.break_off(RequestDefect::NotText);
        };
        if line.is_empty() {
            return self.handle_request_end();
        }
        match &mut self.state {
            State::Idle => match line {
                "get=1" => self.state = State::Get,
                "set=1" => self.state = State::Set(Box::default()),
                _ => self.break_off(RequestDefect::NotARequest(Shown::new(line))),
            },
            State::Get => self.break_off(RequestDefect::GetWithLines),
            State::Set(device) => {
                let Some((key, value)) = line.split_once('=') else {
                    return self.break_off(RequestDefect::NoValue(Shown::new(line)));
                };
                if let Err(defect) = handle_set_line(device, &mut self.peer_lines, key, value) {
                    let line = self.line;
                    self.state = State::Refused(RequestError { line, defect });
                }
            }
            State::Refused(_) | State::Broken => {}
        }
    }

    fn handle_request_end(&mut self) {
        match core::mem::replace(&mut self.state, State::Idle) {
            State::Idle => {}
            State::Get => self.complete.push_back(Ok(Request::Get)),
            State::Set(device) => self.complete.push_back(Ok(Request::Set(device))),
            State::Refused(error) => self.complete.push_back(Err(error)),
            State::Broken => self.state = State::Broken,
        }
        self.line = 0;
        self.peer_lines.reset();
    }

    fn break_off(&mut self, defect: RequestDefect) {
        let line = self.line;
        self.complete.push_back(Err(RequestError { line, defect }));
        self.state = State::Broken;
        self.pending.zeroize();
    }
}

fn handle_set_line(
    device: &mut DeviceChange,
    peer_lines: &mut PeerLines,
    key: &str,
    value: &str,
) -> Result<(), RequestDefect> {
    if key == "public_key" {
        if device.peers.len() == MAX_PEERS {
            return Err(RequestDefect::TooManyPeers);
        }
        device.peers.push(PeerLines::begin(value)?);
        return Ok(());
    }
    let device_key = ["private_key", "listen_port", "fwmark", "replace_peers"]
        .into_iter()
        .find(|known| *known == key);
    if let Some(key) = device_key.filter(|_| !device.peers.is_empty()) {
        return Err(RequestDefect::AmongPeers(key));
    }
    match key {
        "private_key" => {
            device.private_key = match secret(value) {
                None => Change::Clear,
                Some(value) => PrivateKey::from_hex(value)
                    .map(Change::Set)
                    .map_err(|error| {
                        let key = "private_key";
                        RequestDefect::Key { key, error }
                    })?,
            };
        }
        "listen_port" => {
            device.listen_port = Some(number("listen_port", value, "a port from 0 to 65535")?);
        }
        "fwmark" => device.fwmark = Some(number("fwmark", value, "a number from 0 to 4294967295")?),
        "replace_peers" => device.replaces_peers = truth("replace_peers", value)?,
        _ => return peer_lines.handle_line(device.peers.last_mut(), key, value),
    }
    Ok(())
}
