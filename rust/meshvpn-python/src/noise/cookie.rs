//! mac1, mac2 and cookies.

use meshvpn_proto::keys::PublicKey;
use meshvpn_proto::noise::cookie::{Cookie, ReceiverKeys};
use meshvpn_proto::noise::layout::{COOKIE_REPLY_LAYOUT, INITIATION_LAYOUT, RESPONSE_LAYOUT};
use meshvpn_proto::noise::messages::{Authenticated, CookieReply, Initiation, RESPONSE, Response};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::messages::parsed;
use crate::config::socket_address;
use crate::errors::authentication_error;

const BAD_COOKIE: &str =
    "it answers another message, is from another device, or was changed on the way";

/// The message to the owner of a public key with both MACs written; mac2 is zero without a cookie.
#[pyfunction]
#[pyo3(signature = (data, receiver, cookie))]
pub(crate) fn noise_stamp<'py>(
    py: Python<'py>,
    data: &[u8],
    receiver: [u8; 32],
    cookie: Option<[u8; 16]>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut message = Message::parse(data)?;
    let message = message.authenticated();
    keys(receiver).stamp(cookie.map(Cookie::new).as_ref(), message);
    Ok(PyBytes::new(py, message.bytes()))
}

/// Whether the sender knew the receiver's public key.
#[pyfunction]
pub(crate) fn noise_has_valid_mac1(data: &[u8], receiver: [u8; 32]) -> PyResult<bool> {
    let mut message = Message::parse(data)?;
    Ok(keys(receiver).has_valid_mac1(message.authenticated()))
}

/// Whether the sender had this cookie.
#[pyfunction]
pub(crate) fn noise_has_valid_mac2(data: &[u8], cookie: [u8; 16]) -> PyResult<bool> {
    let mut message = Message::parse(data)?;
    Ok(Cookie::new(cookie).has_valid_mac2(message.authenticated()))
}

/// What a device with this secret gives to who sends from `source`.
#[pyfunction]
pub(crate) fn noise_cookie_for_source(secret: [u8; 32], source: &str) -> PyResult<[u8; 16]> {
    let source = socket_address("source", source)?;
    Ok(*Cookie::for_source(&secret, source).expose())
}

/// The cookie, sealed by the owner of a public key as answer to a message.
#[pyfunction]
pub(crate) fn noise_seal_cookie<'py>(
    py: Python<'py>,
    cookie: [u8; 16],
    receiver: [u8; 32],
    data: &[u8],
    nonce: [u8; 24],
) -> PyResult<Bound<'py, PyBytes>> {
    let mut message = Message::parse(data)?;
    let reply = keys(receiver).seal(&Cookie::new(cookie), &nonce, message.authenticated());
    Ok(PyBytes::new(py, reply.as_bytes()))
}

/// The cookie that the owner of a public key answered a message with.
#[pyfunction]
pub(crate) fn noise_open_cookie(
    reply: &[u8],
    receiver: [u8; 32],
    data: &[u8],
) -> PyResult<[u8; 16]> {
    let reply = parsed(&COOKIE_REPLY_LAYOUT, reply, CookieReply::parse)?;
    let mut message = Message::parse(data)?;
    let (_, mac1, _) = message.authenticated().parts();
    let cookie = keys(receiver).open(&reply, mac1);
    let cookie = cookie.ok_or_else(|| {
        authentication_error("cookie reply: the message is not authentic", BAD_COOKIE)
    })?;
    Ok(*cookie.expose())
}

/// A message that ends with MACs.
enum Message {
    Initiation(Initiation),
    Response(Response),
}

impl Message {
    fn parse(data: &[u8]) -> PyResult<Self> {
        if data.first() == Some(&RESPONSE) {
            return parsed(&RESPONSE_LAYOUT, data, Response::parse).map(Self::Response);
        }
        parsed(&INITIATION_LAYOUT, data, Initiation::parse).map(Self::Initiation)
    }

    fn authenticated(&mut self) -> &mut dyn Authenticated {
        match self {
            Self::Initiation(message) => message,
            Self::Response(message) => message,
        }
    }
}

fn keys(receiver: [u8; 32]) -> ReceiverKeys {
    ReceiverKeys::new(&PublicKey::new(receiver))
}
