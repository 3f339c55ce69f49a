//! Where a system's `resolv.conf` is.

use core::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use meshvpn_proto::dns::ResolvConf;
use meshvpn_proto::dns::resolv_conf::{Author, Before};

use super::SystemDnsError;

const SYSTEM: &str = "/etc/resolv.conf";
/// Where `ip netns exec NAME` looks for `NAME/resolv.conf`.
const NAMESPACES: &str = "/etc/netns";

/// A system's `resolv.conf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    path: PathBuf,
    /// What holds where there is no such file.
    otherwise: Option<PathBuf>,
}

impl Place {
    /// The file of the network namespace called `netns`; the host's own if it is none.
    ///
    /// # Errors
    /// [`SystemDnsError::Config`] for a namespace that is given by a path.
    pub fn system(netns: Option<&str>) -> Result<Self, SystemDnsError> {
        match netns {
            None => Ok(Self::at(SYSTEM)),
            Some(name) if name.contains('/') => Err(SystemDnsError::Config {
                field: "netns",
                message: format!("{name:?} has no name, and so no resolv.conf of its own"),
            }),
            Some(name) => Ok(Self {
                path: Path::new(NAMESPACES).join(name).join("resolv.conf"),
                otherwise: Some(SYSTEM.into()),
            }),
        }
    }

    /// A file anywhere.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            otherwise: None,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the file in which what was there before is kept.
    pub(super) fn backup_name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        format!("{name}.before-meshvpn")
    }

    /// That file, beside the other.
    pub(super) fn backup(&self) -> PathBuf {
        self.path.with_file_name(self.backup_name())
    }

    /// What the system is told without us. What we have written does not count, but what is kept beside it;
    /// where nothing was there, what holds otherwise.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn original(&self) -> io::Result<ResolvConf> {
        let text = match read(&self.path)? {
            Some(text) if Author::of(&text) == Author::Others => Some(text),
            Some(text) if Author::of(&text) == Author::Us(Before::Nothing) => None,
            Some(_) => read(&self.backup())?,
            None => None,
        };
        let text = match (text, &self.otherwise) {
            (Some(text), _) => text,
            (None, Some(otherwise)) => return Self::at(otherwise).original(),
            (None, None) => Vec::new(),
        };
        Ok(ResolvConf::parse(&text))
    }

    /// The files that this depends on.
    pub(in crate::dns) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let others = self.otherwise.clone().map(Self::at);
        let places = std::iter::once(self.clone()).chain(others);
        places.flat_map(|place| [place.backup(), place.path])
    }

    /// The directory that was made for it alone, if it was: one of a namespace.
    pub(super) fn own_directory(&self) -> Option<&Path> {
        self.path
            .parent()
            .filter(|directory| directory.parent() == Some(Path::new(NAMESPACES)))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
