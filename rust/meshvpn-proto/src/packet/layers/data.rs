//! The bytes that no header above explains.

use std::ops::Range;

use super::{Build, Layer, Value};

/// Bytes shown in the field's value; all of them are in the layer's range.
const SHOWN: usize = 32;

pub(super) fn layer(bytes: &[u8], range: Range<usize>) -> Layer {
    let data = &bytes[range.clone()];
    let mut build = Build::new("Data", "data");
    build.length("data.len", "Length", data.len());
    if !data.is_empty() {
        build.add(
            "data.data",
            "Bytes",
            Value::Bytes(data[..data.len().min(SHOWN)].to_vec()),
        );
    }
    if data.len() > SHOWN {
        build.meaning(Some(format!("the first {SHOWN}").into()));
    }
    build.into_layer(range)
}
