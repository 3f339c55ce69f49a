//! What a node keeps on disk, so that it comes back while the coordinator is away.
//!
//! The map as it came, signature and all, and the signed changes since. When they have grown longer than
//! the map itself, the node asks for a new one: so it is asked for seldom, however much changes.

use serde::{Deserialize, Serialize};

use super::delta::Delta;
use super::map::{Map, NodeId};
use super::signature::{Kind, MapKey, SignatureError, Signed};
use super::view::View;

/// Bytes of changes that are kept in any case before a new map is asked for.
const SHORT: usize = 64 * 1024;

/// A signed map, and the signed changes since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// The node's own number.
    node: NodeId,
    whole: Signed,
    #[serde(default)]
    deltas: Vec<Signed>,
}

/// Why a cache is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// Not the JSON of a cache.
    #[error("not a cached map: {0}")]
    NotUnderstood(String),
    /// Not signed by this mesh.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Changes that do not follow each other.
    #[error("changes are missing before version {0}")]
    Gap(u64),
}

impl Cache {
    /// Begins with a whole map, as the node `own` sees it.
    ///
    /// # Errors
    /// When the mesh did not sign it.
    pub fn begin(own: NodeId, whole: Signed, key: &MapKey) -> Result<(Self, Map), CacheError> {
        let view: View = whole.open(Kind::View, key)?;
        let map = view.into_map(own);
        let cache = Self {
            node: own,
            whole,
            deltas: Vec::new(),
        };
        Ok((cache, map))
    }

    /// Reads a cache from its JSON; `key` is the mesh's, which the node has kept elsewhere.
    ///
    /// # Errors
    /// Why it is worth nothing.
    pub fn read(json: &[u8], key: &MapKey) -> Result<(Self, Map), CacheError> {
        let cache: Self = serde_json::from_slice(json)
            .map_err(|error| CacheError::NotUnderstood(error.to_string()))?;
        let (mut whole, mut map) = Self::begin(cache.node, cache.whole, key)?;
        for signed in cache.deltas {
            whole.follow(signed, &mut map, key)?;
        }
        Ok((whole, map))
    }

    /// Adds a change, and makes it in `map`.
    ///
    /// # Errors
    /// When the mesh did not sign it, or another must come first. Nothing is changed then.
    pub fn follow(
        &mut self,
        signed: Signed,
        map: &mut Map,
        key: &MapKey,
    ) -> Result<Delta, CacheError> {
        let delta: Delta = signed.open(Kind::Delta, key)?;
        if !delta.apply(map, self.node) {
            return Err(CacheError::Gap(delta.from));
        }
        self.deltas.push(signed);
        Ok(delta)
    }

    /// As JSON, for a file.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and a number")
    }

    /// The node that it belongs to.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Whether a new map would be shorter than what is kept.
    pub fn is_long(&self) -> bool {
        let changes: usize = self.deltas.iter().map(Signed::len).sum();
        changes > self.whole.len().max(SHORT)
    }
}
