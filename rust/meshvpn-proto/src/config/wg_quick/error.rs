//! What can be wrong with a file.

use crate::config::Shown;
use crate::keys::KeyError;

use super::fields::Field;

/// A file that cannot be used. The message names line and field, and the value unless it could be a
/// secret; [`hint`](Self::hint) is the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {defect}; {}", self.hint())]
pub struct ConfigError {
    /// Which line of the file, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub defect: ConfigDefect,
}

impl ConfigError {
    /// What is wrong, without the way out.
    pub fn message(&self) -> String {
        format!("line {}: {}", self.line, self.defect)
    }

    /// The way out.
    pub fn hint(&self) -> &'static str {
        match self.defect {
            ConfigDefect::UnknownSection(_) => "sections are [Interface] and [Peer]",
            ConfigDefect::NoSection(_) => "begin with [Interface]",
            ConfigDefect::NoValue(_) => "lines are `Field = value`, and comments begin with #",
            ConfigDefect::UnknownInterfaceField(_) => {
                "[Interface] has PrivateKey, ListenPort, FwMark, Address, DNS, MTU, Table, PreUp, \
                 PostUp, PreDown, PostDown, SaveConfig"
            }
            ConfigDefect::UnknownPeerField(_) => {
                "[Peer] has PublicKey, PresharedKey, AllowedIPs, Endpoint, PersistentKeepalive"
            }
            ConfigDefect::Value { field, .. } => field.hint(),
            ConfigDefect::Key { error, .. } => error.kind.hint(),
            ConfigDefect::NoPublicKey => "give it its PublicKey",
        }
    }
}

/// What is wrong with a line, never with a secret in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigDefect {
    /// A section that does not exist.
    #[error("{0} is no section")]
    UnknownSection(Shown),
    /// A field before the first section.
    #[error("{0} is in no section")]
    NoSection(Shown),
    /// There is no `=`.
    #[error("{0} has no value")]
    NoValue(Shown),
    /// A field that `[Interface]` does not have.
    #[error("{0} is no field of [Interface]")]
    UnknownInterfaceField(Shown),
    /// A field that `[Peer]` does not have.
    #[error("{0} is no field of [Peer]")]
    UnknownPeerField(Shown),
    /// A value that the field cannot have.
    #[error("{field}: {value} is not {}", field.expected())]
    Value {
        /// The field.
        field: Field,
        /// What was given.
        value: Shown,
    },
    /// A value that is no key.
    #[error("{field}: {}", error.defect)]
    Key {
        /// The field.
        field: Field,
        /// What is wrong with its value.
        error: KeyError,
    },
    /// A section `[Peer]` without the one field that it must have.
    #[error("this [Peer] has no PublicKey")]
    NoPublicKey,
}
