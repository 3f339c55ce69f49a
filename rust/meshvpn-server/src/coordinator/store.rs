//! Where records lie, so that no coordinator owns them.
//!
//! A coordinator holds a copy of all records, which it may be behind with. It writes a [`Batch`] that says which
//! change it has seen last; when others have written since, nothing is written, and it gets what it has
//! missed and decides anew. So there is no lock, and any number of coordinators can share a store.

use core::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::record::{Change, Subject};

/// Changes to be written together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The number of the last change that was seen; the first of these gets the next one.
    pub base: u64,
    /// What to write.
    pub changes: Vec<Change>,
}

/// What came of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is written, and will be there after any crash.
    Written,
    /// Nothing is written: others have written these since its base.
    Behind(Vec<Change>),
    /// Nothing is known to be written; for people.
    Failed(String),
}

/// All records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The number of the last change.
    pub version: u64,
    /// A change that puts it, a record.
    pub records: Vec<Change>,
    /// What was changed last, oldest first: every number after the first is here.
    pub recent: Vec<(u64, Subject)>,
}

/// The keys that all coordinators of a mesh share.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    /// Of the control channel (X25519).
    pub control: Zeroizing<[u8; 32]>,
    /// Of the maps (Ed25519).
    pub signing: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(secret)")
    }
}

/// Why a store does not answer; for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store: {0}")]
pub struct StoreError(pub String);

/// A store of records.
pub trait Store: Send + 'static {
    /// The mesh's keys: those that it has, or, in a new store, `fresh`, which it keeps.
    fn secrets(
        &mut self,
        fresh: Secrets,
    ) -> impl Future<Output = Result<Secrets, StoreError>> + Send;

    /// All records.
    fn load(&mut self) -> impl Future<Output = Result<Snapshot, StoreError>> + Send;

    /// Writes a batch.
    fn commit(&mut self, batch: &Batch) -> impl Future<Output = Outcome> + Send;

    /// What was written after change `version`, by whomever.
    fn changes_since(
        &mut self,
        version: u64,
    ) -> impl Future<Output = Result<Vec<Change>, StoreError>> + Send;
}

/// A store in memory: for the simulator and tests. Clones are the same store.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    secrets: Option<Secrets>,
    changes: Vec<Change>,
}

impl MemoryStore {
    /// As [`Store::secrets`].
    pub fn secrets_now(&self, fresh: Secrets) -> Secrets {
        self.with(|memory| memory.secrets.get_or_insert(fresh).clone())
    }

    /// As [`Store::load`].
    pub fn load_now(&self) -> Snapshot {
        self.with(|memory| {
            let mut records = BTreeMap::new();
            let mut recent = Vec::new();
            for (number, change) in (1..).zip(&memory.changes) {
                recent.push((number, change.subject()));
                match change {
                    Change::Removed(subject) => records.remove(subject),
                    change => records.insert(change.subject(), change.clone()),
                };
            }
            Snapshot {
                version: memory.changes.len() as u64,
                records: records.into_values().collect(),
                recent,
            }
        })
    }

    /// As [`Store::commit`].
    pub fn commit_now(&self, batch: &Batch) -> Outcome {
        self.with(|memory| {
            let missed = &memory.changes[batch.base as usize..];
            if !missed.is_empty() {
                return Outcome::Behind(missed.to_vec());
            }
            memory.changes.extend_from_slice(&batch.changes);
            Outcome::Written
        })
    }

    /// As [`Store::changes_since`].
    pub fn changes_now(&self, version: u64) -> Vec<Change> {
        self.with(|memory| memory.changes[version as usize..].to_vec())
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Memory) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store for MemoryStore {
    async fn secrets(&mut self, fresh: Secrets) -> Result<Secrets, StoreError> {
        Ok(self.secrets_now(fresh))
    }

    async fn load(&mut self) -> Result<Snapshot, StoreError> {
        Ok(self.load_now())
    }

    async fn commit(&mut self, batch: &Batch) -> Outcome {
        self.commit_now(batch)
    }

    async fn changes_since(&mut self, version: u64) -> Result<Vec<Change>, StoreError> {
        Ok(self.changes_now(version))
    }
}
