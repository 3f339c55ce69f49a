//! `meshvpn._meshvpn`: the engine as Python sees it.
//!
//! Bindings translate and nothing else. Names, documentation, exceptions and display live in the
//! Python package `meshvpn`, which is the only importer of this module.

use pyo3::prelude::*;

#[pymodule]
mod _meshvpn {
    /// The version of the engine; the Python package carries the same one.
    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python's name for a version")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
