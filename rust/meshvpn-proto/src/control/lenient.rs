//! Reading JSON that a newer version wrote.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Element<T> {
    Known(T),
    Unknown(IgnoredAny),
}

/// A list without the elements that are not understood: a kind of candidate that is new, say.
pub(super) fn list<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let elements: Vec<Element<T>> = Vec::deserialize(deserializer)?;
    let known = elements.into_iter().filter_map(|element| match element {
        Element::Known(value) => Some(value),
        Element::Unknown(IgnoredAny) => None,
    });
    Ok(known.collect())
}

/// The same, where the list may be missing.
pub(super) fn optional_list<'de, T, D>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    list(deserializer).map(Some)
}

/// A value that may be null: `Some(None)` then, while a field that is missing stays `None`.
pub(super) fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
