//! Putting our file in the place of `resolv.conf`, and what was there back.
//!
//! In this order, so that a crash at any point leaves either the old file in place, or ours with all that it
//! takes to undo it:
//!
//! 1. what is there is kept beside it, a link as a link
//! 2. our file is written under another name, locked, and renamed over it
//!
//! Ours is known by its text ([`meshvpn_proto::dns::resolv_conf`]); that its process still runs, by the lock,
//! which the kernel drops with the process.
//!
//! In containers the file is often a mount, which cannot be renamed over. It is written in place then.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{
    DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, symlink,
};
use std::path::{Path, PathBuf};

use meshvpn_proto::dns::resolv_conf::{Author, Before};

use super::{Place, Restored, SystemDnsError};

/// Every program has to read it.
const MODE: u32 = 0o644;

/// A file of ours in the system's place, held until it is taken back.
#[derive(Debug)]
pub(super) struct TakenOver {
    place: Place,
    /// Locked.
    file: File,
}

impl TakenOver {
    /// Sends the system's questions to `resolvers`.
    pub(super) fn new(
        place: &Place,
        resolvers: &[IpAddr],
        domain: &str,
    ) -> Result<Self, SystemDnsError> {
        let path = place.path();
        // What a crash has left; then the file is another's, and what is kept beside it is out of date.
        restore(place, None)?;
        if Found::at(path)?.is_edited() {
            return Err(SystemDnsError::Edited(path.to_owned()));
        }
        let original = place.original().map_err(at(path))?;
        if let Some(directory) = path.parent() {
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(0o755).create(directory);
            made.map_err(at(directory))?;
        }
        let before = keep(place)?;
        let text = original.taken_over(before, &place.backup_name(), resolvers, domain);
        let file = put(path, text.as_bytes()).map_err(at(path))?;
        let place = place.clone();
        Ok(Self { place, file })
    }

    /// Puts back what was there.
    pub(super) fn restore(self) -> Result<Restored, SystemDnsError> {
        restore(&self.place, Some(&self.file))
    }
}

/// Puts back what was in the place of a file of ours. `own` is ours by its lock.
pub(super) fn restore(place: &Place, own: Option<&File>) -> Result<Restored, SystemDnsError> {
    let (path, backup) = (place.path(), place.backup());
    let (before, file) = match Found::at(path)? {
        Found::Ours(before, file) => (before, file),
        Found::Edited => {
            let backup = Some(backup).filter(|backup| is_there(backup));
            return Ok(Restored::Foreign(path.to_owned(), backup));
        }
        Found::Others(text) => {
            return match leftover(path, &backup, text.as_deref())? {
                Restored::Nothing if own.is_some() => Ok(Restored::Foreign(path.to_owned(), None)),
                restored => Ok(restored),
            };
        }
    };
    let is_own =
        own.is_some_and(|own| identity(own).is_some_and(|own| identity(&file) == Some(own)));
    if !is_own {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SystemDnsError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(at(path)(source)),
        }
    }
    match before {
        Before::Nothing => {
            fs::remove_file(path).map_err(at(path))?;
            if let Some(directory) = place.own_directory() {
                // Where others have files in it, it stays.
                let _ = fs::remove_dir(directory);
            }
        }
        Before::File | Before::Symlink => put_back(path, &backup)?,
    }
    Ok(Restored::Done)
}

/// What is in the system's place.
enum Found {
    Ours(Before, File),
    Edited,
    /// With its text, where it has one.
    Others(Option<Vec<u8>>),
}

impl Found {
    fn at(path: &Path) -> Result<Self, SystemDnsError> {
        // We never write through a link: what is behind one is another's.
        if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
            return Ok(Self::Others(None));
        }
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Others(None)),
            Err(error) => return Err(at(path)(error)),
        };
        let text = fs::read(path).map_err(at(path))?;
        Ok(match Author::of(&text) {
            Author::Us(before) => Self::Ours(before, file),
            Author::Edited => Self::Edited,
            Author::Others => Self::Others(Some(text)),
        })
    }

    fn is_edited(&self) -> bool {
        matches!(self, Self::Edited)
    }
}

/// What is to be said of a file that is not ours: beside it there may be what was kept, by one who died before
/// he could go on, or whose file has been replaced since.
fn leftover(path: &Path, backup: &Path, text: Option<&[u8]>) -> Result<Restored, SystemDnsError> {
    let Ok(kept) = fs::symlink_metadata(backup) else {
        return Ok(Restored::Nothing);
    };
    let is_same = if kept.is_symlink() {
        fs::read_link(backup).ok() == fs::read_link(path).ok()
    } else {
        text.is_some() && fs::read(backup).ok().as_deref() == text
    };
    if !is_same {
        return Ok(Restored::Foreign(path.to_owned(), Some(backup.to_owned())));
    }
    fs::remove_file(backup).map_err(at(backup))?;
    Ok(Restored::Done)
}

/// Keeps what is in the system's place beside it, and says what that is.
fn keep(place: &Place) -> Result<Before, SystemDnsError> {
    let (path, backup) = (place.path(), place.backup());
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Before::Nothing),
        Err(error) => return Err(at(path)(error)),
    };
    if found.is_symlink() {
        let target = fs::read_link(path).map_err(at(path))?;
        let draft = draft(&backup);
        symlink(target, &draft).map_err(at(&draft))?;
        fs::rename(&draft, &backup).map_err(at(&backup))?;
        return Ok(Before::Symlink);
    }
    let text = fs::read(path).map_err(at(path))?;
    let (file, draft) = write_draft(&backup, &text).map_err(at(&backup))?;
    let kept = file
        .set_permissions(Permissions::from_mode(found.mode()))
        .and_then(|()| fchown(&file, Some(found.uid()), Some(found.gid())))
        .and_then(|()| fs::rename(&draft, &backup));
    kept.map_err(at(&backup))?;
    Ok(Before::File)
}

/// Puts our file into the system's place, locked.
fn put(path: &Path, text: &[u8]) -> io::Result<File> {
    let (file, draft) = write_draft(path, text)?;
    file.lock()?;
    match fs::rename(&draft, path) {
        Ok(()) => Ok(file),
        Err(error) if is_mount(&error) => {
            let _ = fs::remove_file(&draft);
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            file.lock()?;
            overwrite(&file, text)?;
            Ok(file)
        }
        Err(error) => {
            let _ = fs::remove_file(&draft);
            Err(error)
        }
    }
}

fn put_back(path: &Path, backup: &Path) -> Result<(), SystemDnsError> {
    match fs::rename(backup, path) {
        Ok(()) => Ok(()),
        Err(error) if is_mount(&error) => {
            let written = fs::read(backup).and_then(|text| {
                let file = OpenOptions::new().write(true).open(path)?;
                overwrite(&file, &text)
            });
            written.map_err(at(path))?;
            fs::remove_file(backup).map_err(at(backup))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(SystemDnsError::Lost(path.to_owned(), backup.to_owned()))
        }
        Err(error) => Err(at(path)(error)),
    }
}

/// A file beside `path`, written and on its disk.
fn write_draft(path: &Path, text: &[u8]) -> io::Result<(File, PathBuf)> {
    let draft = draft(path);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&draft)?;
    // Whatever the process's mask is.
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all_at(text, 0)?;
    file.sync_all()?;
    Ok((file, draft))
}

/// A name for a file that is not finished; what has it was left by one who died.
fn draft(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.meshvpn-draft"));
    // It is not there, most of the time.
    let _ = fs::remove_file(&draft);
    draft
}

/// Replaces what is in a file; whoever reads it meanwhile finds the new text with a rest of the old at worst.
fn overwrite(file: &File, text: &[u8]) -> io::Result<()> {
    file.write_all_at(text, 0)?;
    file.set_len(text.len() as u64)?;
    file.sync_all()
}

/// The place is a mount of its own.
fn is_mount(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EXDEV))
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn identity(file: &File) -> Option<(u64, u64)> {
    let found = file.metadata().ok()?;
    Some((found.dev(), found.ino()))
}

fn at(path: &Path) -> impl Fn(io::Error) -> SystemDnsError {
    move |source| SystemDnsError::File {
        path: path.to_owned(),
        source,
    }
}
