//! Telling the system to ask our resolver, and taking that back.
//!
//! Nothing of this happens unless somebody asks for it. There are two ways:
//!
//! | way | what is changed | taken back |
//! |---|---|---|
//! | systemd-resolved, by `resolvectl` | our interface's name servers and domains: it asks us for the mesh's names alone | `resolvectl revert`; by itself when the interface goes, so after a crash too |
//! | `resolv.conf` | the file; what was there before lies beside it | by us, at the end; after a crash by whoever starts next, or by [`restore`] |
//!
//! A file that somebody else has changed meanwhile is theirs: it is left as it is, and we say so.
//!
//! # Namespaces
//!
//! systemd-resolved serves its own namespace only. In a named one, [`Place`] is what `ip netns exec NAME` puts
//! in the place of `/etc/resolv.conf`: `/etc/netns/NAME/resolv.conf`. Programs that run there already keep the
//! file they have, because `ip` mounts the file and not its name. The host's own file is never touched for a
//! namespace; but it is whom the namespace asked before, where it had no file of its own. A namespace that is
//! given by a path has no such file, and its place must be named.

mod place;
mod resolv_conf;
mod resolved;

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use meshvpn_proto::route::Prefix;
use tracing::{info, warn};

pub use place::Place;
use resolv_conf::TakenOver;
use resolved::Resolved;

/// How the system is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// By systemd-resolved where the system asks that, else by its file.
    #[default]
    Auto,
    /// By systemd-resolved.
    Resolved,
    /// By its file.
    ResolvConf,
}

/// What the system shall be told.
#[derive(Debug, Clone)]
pub struct SystemDnsConfig {
    /// How.
    pub method: Method,
    /// The system's file.
    pub place: Place,
    /// Where our resolver answers, on port 53.
    pub resolvers: Vec<IpAddr>,
    /// The mesh's domain, with which short names are tried first.
    pub domain: String,
    /// The mesh's networks: systemd-resolved asks us for names of their addresses.
    pub networks: Vec<Prefix>,
    /// Our interface, which systemd-resolved needs to know.
    pub interface: Option<String>,
}

/// A system that asks us. Dropping it takes that back.
#[derive(Debug)]
pub struct SystemDns(Option<Way>);

#[derive(Debug)]
enum Way {
    Resolved(Resolved),
    ResolvConf(TakenOver),
}

/// What taking back has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restored {
    /// Nothing of ours was there.
    Nothing,
    /// All is as it was.
    Done,
    /// Somebody else has changed this file meanwhile; it was left as it is. What was there before us is in
    /// the second one, if that is still there.
    Foreign(PathBuf, Option<PathBuf>),
}

/// Why the system could not be told, or that not taken back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SystemDnsError {
    /// A value cannot be used.
    #[error("{field}: {message}")]
    Config {
        /// The field's name.
        field: &'static str,
        /// Its value, and what is wrong with it.
        message: String,
    },
    /// Another process has done so, and still runs.
    #[error("{0} is in use by another meshvpn that is running")]
    InUse(PathBuf),
    /// The file is ours but for a change that somebody has made by hand.
    #[error("{0} was written by meshvpn and edited since")]
    Edited(PathBuf),
    /// The file is ours, and what was there before is gone.
    #[error("{0} was written by meshvpn, but {1}, which was there before, is gone")]
    Lost(PathBuf, PathBuf),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `resolvectl` has failed.
    #[error("resolvectl {arguments}: {message}")]
    Resolvectl {
        /// What it was told.
        arguments: String,
        /// What it said.
        message: String,
    },
}

impl SystemDns {
    /// Tells the system to ask us. What a crash has left is put right first.
    ///
    /// # Errors
    /// [`SystemDnsError`]; the system is as it was then.
    pub fn set(config: &SystemDnsConfig) -> Result<Self, SystemDnsError> {
        if config.resolvers.is_empty() {
            return Err(SystemDnsError::Config {
                field: "resolvers",
                message: "no address to ask at".into(),
            });
        }
        let resolved = match config.method {
            Method::ResolvConf => None,
            Method::Resolved => Some(Resolved::required(config)?),
            Method::Auto => Resolved::in_charge(config),
        };
        let way = match resolved {
            Some(resolved) => {
                resolved.set(config)?;
                info!("systemd-resolved asks here for names of {}", config.domain);
                Way::Resolved(resolved)
            }
            None => {
                let taken = TakenOver::new(&config.place, &config.resolvers, &config.domain)?;
                info!("{} sends the system's questions here", config.place);
                Way::ResolvConf(taken)
            }
        };
        Ok(Self(Some(way)))
    }

    /// Takes it back. Calling it again does nothing.
    ///
    /// # Errors
    /// [`SystemDnsError`]; there is no second try then.
    pub fn restore(&mut self) -> Result<Restored, SystemDnsError> {
        match self.0.take() {
            None => Ok(Restored::Nothing),
            Some(Way::Resolved(resolved)) => resolved.revert().map(|()| Restored::Done),
            Some(Way::ResolvConf(taken)) => taken.restore(),
        }
    }
}

impl Drop for SystemDns {
    fn drop(&mut self) {
        match self.restore() {
            Ok(restored) => restored.tell(),
            Err(error) => warn!("the system's DNS could not be restored: {error}"),
        }
    }
}

impl Restored {
    /// What a person should know of it; none if all is well.
    pub fn notice(&self) -> Option<String> {
        let Self::Foreign(path, backup) = self else {
            return None;
        };
        let left = format!(
            "{} was changed by somebody else meanwhile and left as it is",
            path.display()
        );
        Some(match backup {
            None => left,
            Some(backup) => format!("{left}; what was there before is in {}", backup.display()),
        })
    }

    fn tell(&self) {
        match self.notice() {
            Some(notice) => warn!("{notice}"),
            None if *self == Self::Done => info!("the system's DNS is as it was"),
            None => {}
        }
    }
}

/// Takes back what a crash has left in the system's file. Where a running process stands behind it, that is
/// an error and nothing is done.
///
/// # Errors
/// [`SystemDnsError`]; the file is as it was then.
pub fn restore(place: &Place) -> Result<Restored, SystemDnsError> {
    let restored = resolv_conf::restore(place, None)?;
    restored.tell();
    Ok(restored)
}

#[cfg(test)]
mod tests;
