//! What bytes are a message, and where its fields lie.

use meshvpn_proto::noise::layout::Layout;
use pyo3::prelude::*;

use crate::errors::config_error;

/// Name, first byte, and the byte behind the last; None for the rest of the message.
type FieldTuple = (&'static str, usize, Option<usize>);

/// The fields of messages that begin with `kind`.
#[pyfunction]
pub(crate) fn noise_message_fields(kind: u8) -> PyResult<Vec<FieldTuple>> {
    let fields = layout(kind)?.fields.iter();
    Ok(fields
        .map(|field| (field.name, field.start, field.end))
        .collect())
}

/// Refuses bytes that are no message of this kind.
#[pyfunction]
pub(crate) fn check_noise_message(kind: u8, data: &[u8]) -> PyResult<()> {
    check(layout(kind)?, data)
}

/// The message that these bytes are.
pub(crate) fn parsed<T>(
    layout: &Layout,
    data: &[u8],
    parse: impl Fn(&[u8]) -> Option<T>,
) -> PyResult<T> {
    check(layout, data)?;
    parse(data).ok_or_else(|| config_error(layout.name, HINT))
}

const HINT: &str =
    "give the whole datagram; meshvpn.noise.parse_message() takes each of the four messages";

fn check(layout: &Layout, data: &[u8]) -> PyResult<()> {
    layout
        .check(data)
        .map_err(|error| config_error(&format!("{}: {error}", layout.name), HINT))
}

fn layout(kind: u8) -> PyResult<&'static Layout> {
    Layout::of(kind).ok_or_else(|| {
        let message = format!("type: {kind} is no message's");
        config_error(&message, "messages are of type 1 to 4")
    })
}
