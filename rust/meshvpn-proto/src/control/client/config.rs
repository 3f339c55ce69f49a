//! What a client must know from the start.

use std::sync::Arc;

use super::super::cache::Cache;
use super::super::map::Map;
use super::super::messages::Register;
use super::super::signature::MapKey;
use crate::keys::PublicKey;
use crate::noise::identity::Identity;

/// Who the node is and whom it trusts.
#[derive(Debug)]
pub struct Config {
    /// The installation's own key, which the coordinator knows it by: an [open](Identity::open) identity.
    pub machine: Arc<Identity>,
    /// The coordinator's public key; from the auth key or the URL.
    pub coordinator: PublicKey,
    /// What it says of itself. The version to resume from is filled in.
    pub register: Register,
    /// The mesh's key, if the node has been in it before.
    pub map_key: Option<MapKey>,
    /// What [`Cache::read`] gave.
    pub cached: Option<(Cache, Map)>,
}
