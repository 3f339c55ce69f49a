//! A system's file through starts, ends, crashes and other people.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use tempfile::TempDir;

use super::*;

const ORIGINAL: &str = "# mine\nnameserver 192.0.2.1\nsearch example.com\n";

struct Desk {
    directory: TempDir,
    place: Place,
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::at(directory.path().join("resolv.conf"));
        Self { directory, place }
    }

    fn with_file() -> Self {
        let desk = Self::new();
        fs::write(desk.path(), ORIGINAL).unwrap();
        desk
    }

    fn path(&self) -> &Path {
        self.place.path()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    fn set(&self) -> Result<SystemDns, SystemDnsError> {
        SystemDns::set(&SystemDnsConfig {
            method: Method::Auto,
            place: self.place.clone(),
            resolvers: vec!["127.0.0.1".parse().unwrap()],
            domain: "mesh.internal".into(),
            networks: Vec::new(),
            interface: None,
        })
    }

    /// A process that ends without a word: the kernel drops its lock, and nothing else happens.
    fn crash(&self) {
        let mut dns = self.set().unwrap();
        assert!(matches!(dns.0.take(), Some(Way::ResolvConf(_))));
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn nameservers(&self) -> Vec<String> {
        let original = self.place.original().unwrap();
        let servers = original.nameservers.iter();
        servers.map(|server| server.address.to_string()).collect()
    }
}

#[test]
fn a_file_comes_back_as_it_was() {
    let desk = Desk::with_file();
    let mode = fs::Permissions::from_mode(0o640);
    fs::set_permissions(desk.path(), mode).unwrap();
    let mut dns = desk.set().unwrap();
    assert!(desk.text().contains("nameserver 127.0.0.1\n"));
    assert!(desk.text().contains("search mesh.internal example.com\n"));
    assert!(!desk.text().contains("192.0.2.1"));
    assert_eq!(
        fs::metadata(desk.path()).unwrap().permissions().mode() & 0o777,
        0o644
    );
    assert_eq!(desk.names(), ["resolv.conf", "resolv.conf.before-meshvpn"]);
    assert_eq!(
        desk.nameservers(),
        ["192.0.2.1"],
        "whom we ask is who was asked before"
    );
    assert_eq!(dns.restore().unwrap(), Restored::Done);
    assert_eq!(dns.restore().unwrap(), Restored::Nothing);
    assert_eq!(desk.text(), ORIGINAL);
    assert_eq!(
        fs::metadata(desk.path()).unwrap().permissions().mode() & 0o777,
        0o640
    );
    assert_eq!(desk.names(), ["resolv.conf"]);
}

#[test]
fn a_link_comes_back_as_a_link() {
    let desk = Desk::new();
    fs::write(desk.directory.path().join("stub"), ORIGINAL).unwrap();
    symlink("stub", desk.path()).unwrap();
    let dns = desk.set().unwrap();
    assert!(!fs::symlink_metadata(desk.path()).unwrap().is_symlink());
    assert_eq!(desk.nameservers(), ["192.0.2.1"]);
    drop(dns);
    assert_eq!(fs::read_link(desk.path()).unwrap(), Path::new("stub"));
    assert_eq!(desk.text(), ORIGINAL);
    assert_eq!(desk.names(), ["resolv.conf", "stub"]);
}

#[test]
fn where_nothing_was_nothing_stays() {
    let desk = Desk::new();
    drop(desk.set().unwrap());
    assert_eq!(desk.names(), [""; 0]);
    desk.crash();
    assert_eq!(desk.names(), ["resolv.conf"]);
    assert_eq!(desk.nameservers(), [""; 0]);
    assert_eq!(restore(&desk.place).unwrap(), Restored::Done);
    assert_eq!(desk.names(), [""; 0]);
}

#[test]
fn after_a_crash_the_next_start_puts_it_right() {
    let desk = Desk::with_file();
    desk.crash();
    assert_eq!(desk.nameservers(), ["192.0.2.1"]);
    desk.crash();
    assert_eq!(desk.nameservers(), ["192.0.2.1"], "not ourselves");
    drop(desk.set().unwrap());
    assert_eq!(desk.text(), ORIGINAL);
    assert_eq!(desk.names(), ["resolv.conf"]);
}

#[test]
fn after_a_crash_it_can_be_restored_without_a_start() {
    let desk = Desk::with_file();
    assert_eq!(restore(&desk.place).unwrap(), Restored::Nothing);
    desk.crash();
    assert_eq!(restore(&desk.place).unwrap(), Restored::Done);
    assert_eq!(restore(&desk.place).unwrap(), Restored::Nothing);
    assert_eq!(desk.text(), ORIGINAL);
    let link = Desk::new();
    symlink("nowhere", link.path()).unwrap();
    link.crash();
    assert_eq!(restore(&link.place).unwrap(), Restored::Done);
    assert_eq!(fs::read_link(link.path()).unwrap(), Path::new("nowhere"));
}

#[test]
fn a_crash_before_the_file_is_replaced_leaves_it_and_nothing_else() {
    for is_link in [false, true] {
        let desk = Desk::new();
        let backup = desk.directory.path().join("resolv.conf.before-meshvpn");
        for path in [desk.path(), &backup] {
            if is_link {
                symlink("stub", path).unwrap();
            } else {
                fs::write(path, ORIGINAL).unwrap();
            }
        }
        fs::write(desk.directory.path().join(".resolv.conf.meshvpn-draft"), "").unwrap();
        assert_eq!(restore(&desk.place).unwrap(), Restored::Done);
        drop(desk.set().unwrap());
        assert_eq!(desk.names(), ["resolv.conf"]);
    }
}

#[test]
fn a_running_process_keeps_its_file() {
    let desk = Desk::with_file();
    let dns = desk.set().unwrap();
    let in_use = |error| matches!(error, SystemDnsError::InUse(path) if path == desk.path());
    assert!(in_use(desk.set().unwrap_err()));
    assert!(in_use(restore(&desk.place).unwrap_err()));
    drop(dns);
    assert_eq!(desk.text(), ORIGINAL);
}

#[test]
fn a_file_that_somebody_else_has_replaced_is_left() {
    let others = "nameserver 198.51.100.1\n";
    let desk = Desk::with_file();
    let mut dns = desk.set().unwrap();
    fs::write(desk.path(), others).unwrap();
    let backup = desk.directory.path().join("resolv.conf.before-meshvpn");
    let foreign = Restored::Foreign(desk.path().into(), Some(backup.clone()));
    assert_eq!(dns.restore().unwrap(), foreign);
    assert_eq!(restore(&desk.place).unwrap(), foreign);
    assert_eq!(desk.text(), others);
    assert_eq!(fs::read_to_string(backup).unwrap(), ORIGINAL);
    assert_eq!(desk.nameservers(), ["198.51.100.1"]);
    // From now on theirs is what was there before.
    drop(desk.set().unwrap());
    assert_eq!(desk.text(), others);
    assert_eq!(desk.names(), ["resolv.conf"]);
}

#[test]
fn a_file_of_ours_that_somebody_has_edited_is_left() {
    let desk = Desk::with_file();
    let mut dns = desk.set().unwrap();
    let edited = format!("{}nameserver 198.51.100.1\n", desk.text());
    fs::write(desk.path(), &edited).unwrap();
    assert!(matches!(
        dns.restore().unwrap(),
        Restored::Foreign(_, Some(_))
    ));
    assert!(matches!(desk.set().unwrap_err(), SystemDnsError::Edited(_)));
    assert_eq!(desk.text(), edited);
    assert_eq!(desk.names(), ["resolv.conf", "resolv.conf.before-meshvpn"]);
}

#[test]
fn a_file_that_is_back_already_is_left_too() {
    let desk = Desk::with_file();
    let mut dns = desk.set().unwrap();
    let backup = desk.directory.path().join("resolv.conf.before-meshvpn");
    fs::copy(&backup, desk.path()).unwrap();
    assert_eq!(dns.restore().unwrap(), Restored::Done);
    assert_eq!(desk.names(), ["resolv.conf"]);
    let mut dns = desk.set().unwrap();
    fs::rename(&backup, desk.path()).unwrap();
    assert_eq!(
        dns.restore().unwrap(),
        Restored::Foreign(desk.path().into(), None)
    );
    assert_eq!(desk.text(), ORIGINAL);
}

#[test]
fn what_is_lost_is_said() {
    let desk = Desk::with_file();
    desk.crash();
    fs::remove_file(desk.directory.path().join("resolv.conf.before-meshvpn")).unwrap();
    assert!(matches!(
        restore(&desk.place).unwrap_err(),
        SystemDnsError::Lost(..)
    ));
}

#[test]
fn a_namespace_has_a_file_of_its_own() {
    let named = Place::system(Some("home-a")).unwrap();
    assert_eq!(named.path(), Path::new("/etc/netns/home-a/resolv.conf"));
    assert_eq!(
        Place::system(None).unwrap().path(),
        Path::new("/etc/resolv.conf")
    );
    let error = Place::system(Some("/proc/1/ns/net")).unwrap_err();
    assert!(error.to_string().starts_with("netns: "), "{error}");
}
