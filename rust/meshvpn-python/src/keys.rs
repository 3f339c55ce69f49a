//! X25519 keys, for `meshvpn.PrivateKey`.

use meshvpn_proto::keys::PrivateKey;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use zeroize::Zeroizing;

use crate::errors::config_error;

/// The private key that 32 bytes make, clamped, and its public key.
#[pyfunction]
pub(crate) fn x25519_key_pair<'py>(
    py: Python<'py>,
    data: &[u8],
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(data.try_into().map_err(|_| {
        config_error(
            &format!("private key: {} bytes instead of 32", data.len()),
            "make one with: meshvpn genkey",
        )
    })?);
    let private = PrivateKey::new(*bytes);
    let public = private.public_key();
    Ok((
        PyBytes::new(py, private.expose()),
        PyBytes::new(py, public.as_bytes()),
    ))
}
