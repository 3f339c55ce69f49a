//! systemd-resolved, by its program `resolvectl`.
//!
//! It keeps name servers and domains for each interface, and forgets them with the interface. Ours is told to
//! be asked for the mesh's names and addresses alone: all other questions go where they went before, and never
//! come by us.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use meshvpn_proto::dns::{ResolvConf, reverse_zones};
use tracing::debug;

use super::{SystemDnsConfig, SystemDnsError};

const PROGRAM: &str = "resolvectl";
/// Where systemd-resolved has its files, to which a system's resolv.conf is a link.
const DIRECTORY: &str = "/run/systemd/resolve";
/// Where it answers (systemd-resolved.service(8)).
const STUBS: [&str; 2] = ["127.0.0.53", "127.0.0.54"];

/// The settings of one interface.
#[derive(Debug)]
pub(super) struct Resolved {
    program: PathBuf,
    interface: String,
}

impl Resolved {
    /// For somebody who wants this way and no other.
    pub(super) fn required(config: &SystemDnsConfig) -> Result<Self, SystemDnsError> {
        let interface = config.interface.clone().ok_or(SystemDnsError::Config {
            field: "interface",
            message: "none is given, and systemd-resolved keeps name servers for interfaces".into(),
        })?;
        let program = find_program().ok_or_else(|| SystemDnsError::Resolvectl {
            arguments: String::new(),
            message: "there is no such program in PATH".into(),
        })?;
        Ok(Self { program, interface })
    }

    /// Where systemd-resolved is whom the system asks, and can be told.
    pub(super) fn in_charge(config: &SystemDnsConfig) -> Option<Self> {
        if !is_in_charge(config.place.path()) {
            return None;
        }
        match Self::required(config) {
            Ok(resolved) => Some(resolved),
            Err(error) => {
                debug!("systemd-resolved answers the system, but cannot be told: {error}");
                None
            }
        }
    }

    pub(super) fn set(&self, config: &SystemDnsConfig) -> Result<(), SystemDnsError> {
        let resolvers = config.resolvers.iter().map(ToString::to_string);
        let zones = config.networks.iter().copied().flat_map(reverse_zones);
        let domain = Some(config.domain.clone()).filter(|domain| !domain.is_empty());
        // A "~" is not tried with short names.
        let domains = domain
            .into_iter()
            .chain(zones.map(|zone| format!("~{zone}")));
        let outcome = self
            .call("dns", resolvers)
            .and_then(|()| self.call("domain", domains))
            .and_then(|()| self.call("default-route", ["false".into()]));
        if outcome.is_err() {
            // What it has taken, it shall not keep; if that fails too, the first error says why.
            let _ = self.revert();
        }
        outcome
    }

    pub(super) fn revert(&self) -> Result<(), SystemDnsError> {
        self.call("revert", [])
    }

    fn call(
        &self,
        verb: &str,
        values: impl IntoIterator<Item = String>,
    ) -> Result<(), SystemDnsError> {
        let arguments: Vec<String> = [verb.to_owned(), self.interface.clone()]
            .into_iter()
            .chain(values)
            .collect();
        let failed = |message: String| SystemDnsError::Resolvectl {
            arguments: arguments.join(" "),
            message,
        };
        let output = Command::new(&self.program)
            .args(&arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(failed(if said.is_empty() {
            output.status.to_string()
        } else {
            said
        }))
    }
}

/// Whether a system's file sends its questions to systemd-resolved.
fn is_in_charge(path: &Path) -> bool {
    if fs::read_link(path).is_ok_and(|target| path.with_file_name(target).starts_with(DIRECTORY)) {
        return true;
    }
    let servers = fs::read(path).map(|text| ResolvConf::parse(&text).nameservers);
    servers.is_ok_and(|servers| {
        !servers.is_empty()
            && servers
                .iter()
                .all(|server| STUBS.contains(&server.address.to_string().as_str()))
    })
}

fn find_program() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|directory| directory.join(PROGRAM))
        .find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::dns::system::{Method, Place};

    /// A `resolvectl` that writes down what it is told and fails at the word `fails`.
    fn told(directory: &Path, fails: &str) -> (Resolved, SystemDnsConfig, PathBuf) {
        let (program, log) = (directory.join(PROGRAM), directory.join("log"));
        let script = format!(
            "#!/bin/sh\necho \"$@\" >> {}\n[ \"$1\" != '{fails}' ] || {{ echo no >&2; exit 1; }}\n",
            log.display()
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let interface = "mesh0".to_owned();
        let config = SystemDnsConfig {
            method: Method::Resolved,
            place: Place::at(directory.join("resolv.conf")),
            resolvers: vec!["100.64.0.1".parse().unwrap(), "fd7a::1".parse().unwrap()],
            domain: "mesh.internal".into(),
            networks: vec!["10.9.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()],
            interface: Some(interface.clone()),
        };
        (Resolved { program, interface }, config, log)
    }

    #[test]
    fn it_is_told_the_mesh_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let (resolved, config, log) = told(directory.path(), "nothing");
        resolved.set(&config).unwrap();
        resolved.revert().unwrap();
        assert_eq!(
            fs::read_to_string(log).unwrap(),
            "dns mesh0 100.64.0.1 fd7a::1\n\
             domain mesh0 mesh.internal ~9.10.in-addr.arpa ~d.f.ip6.arpa\n\
             default-route mesh0 false\n\
             revert mesh0\n"
        );
    }

    #[test]
    fn what_it_refuses_is_taken_back_and_said() {
        let directory = tempfile::tempdir().unwrap();
        let (resolved, config, log) = told(directory.path(), "default-route");
        let error = resolved.set(&config).unwrap_err();
        assert_eq!(
            error.to_string(),
            "resolvectl default-route mesh0 false: no"
        );
        assert!(fs::read_to_string(log).unwrap().ends_with("revert mesh0\n"));
    }

    #[test]
    fn it_is_in_charge_where_the_file_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("resolv.conf");
        assert!(!is_in_charge(&path));
        for (text, expected) in [
            ("nameserver 127.0.0.53\noptions edns0\n", true),
            ("nameserver 127.0.0.53\nnameserver 192.0.2.1\n", false),
            ("nameserver 192.0.2.1\n", false),
            ("", false),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(is_in_charge(&path), expected, "{text:?}");
        }
        for (target, expected) in [
            ("/run/systemd/resolve/stub-resolv.conf", true),
            ("/run/NetworkManager/resolv.conf", false),
        ] {
            fs::remove_file(&path).unwrap();
            symlink(target, &path).unwrap();
            assert_eq!(is_in_charge(&path), expected, "{target}");
        }
    }
}
