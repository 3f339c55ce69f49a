//! The UAPI socket: by it `wg` and others read and change a running device.
//!
//! Whoever may connect may read the private key, so only the owner may. The device ends when the
//! socket's file is removed: that is how `ip link`'s job is done for a device that is a process.

use std::ffi::CString;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net;
use std::path::{Path, PathBuf};

use meshvpn_proto::config::uapi::{Errno, Request, Requests, write_set_answer};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tracing::debug;
use zeroize::Zeroizing;

use super::Command;
use crate::netlink::interface_index;
use crate::tunnel::TunnelError;

/// Where every implementation has its sockets.
const DIRECTORY: &str = "/var/run/wireguard";
/// Clients that may wait to be accepted.
const BACKLOG: u32 = 64;
/// Read at once from a connection.
const READ_LEN: usize = 64 * 1024;

/// The socket, and its file, which goes with it.
#[derive(Debug)]
pub(super) struct Listener {
    listener: UnixListener,
    file: SocketFile,
    watch: AsyncFd<OwnedFd>,
}

#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode: a file of the same name may be another's.
    identity: (u64, u64),
}

impl Listener {
    /// Creates the socket of `interface`. To be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`ErrorKind::AddrInUse`] when somebody answers there already, else the system's.
    pub(super) fn bind(interface: &str) -> io::Result<Self> {
        let directory = Path::new(DIRECTORY);
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(directory)?;
        let path = directory.join(format!("{interface}.sock"));
        if net::UnixStream::connect(&path).is_ok() {
            return Err(ErrorKind::AddrInUse.into());
        }
        // Nobody answers: what is there was left by one who died.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixSocket::new_stream()?;
        // Before it has a name: there is no moment in which others may connect.
        // SAFETY: takes no pointers; the descriptor is open.
        if unsafe { libc::fchmod(socket.as_raw_fd(), 0o600) } < 0 {
            return Err(io::Error::last_os_error());
        }
        socket.bind(&path)?;
        let file = SocketFile {
            identity: identity(&path)?,
            path,
        };
        Ok(Self {
            listener: socket.listen(BACKLOG)?,
            // SAFETY: the descriptor is in the `AsyncFd`'s own hands, which close it last.
            watch: unsafe { AsyncFd::register(watch(directory)?)? },
            file,
        })
    }

    /// The socket's file.
    pub(super) fn path(&self) -> &Path {
        &self.file.path
    }

    /// Serves clients, whose requests become `commands`; returns when the socket's file is gone, or
    /// nobody takes commands any more.
    pub(super) async fn serve(&self, commands: &mpsc::Sender<Command>) {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        tokio::spawn(converse(stream, commands.clone()));
                    }
                    Err(error) => {
                        // Out of descriptors, most likely: those who wait will not go away.
                        debug!(%error, "a UAPI client could not be accepted");
                        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    }
                },
                () = self.changed() => if !self.file.exists() {
                    return;
                },
                () = commands.closed() => return,
            }
        }
    }

    /// Something in the directory went away.
    async fn changed(&self) {
        let Ok(mut ready) = self.watch.readable().await else {
            return std::future::pending().await;
        };
        let mut events = [0u8; 4096];
        // SAFETY: pointer and length describe `events`. What they say does not matter: the file is
        // looked at after each.
        unsafe {
            libc::read(
                self.watch.as_raw_fd(),
                events.as_mut_ptr().cast(),
                events.len(),
            )
        };
        ready.clear_ready();
    }
}

impl SocketFile {
    fn exists(&self) -> bool {
        identity(&self.path).is_ok_and(|identity| identity == self.identity)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.exists() {
            // If it cannot be removed, the next one that wants the name will.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// A descriptor that can be read when files in `directory` are removed or renamed.
fn watch(directory: &Path) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers; the result is checked before it is owned.
    let fd = unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let path = CString::new(directory.as_os_str().as_bytes())?;
    let mask = libc::IN_DELETE | libc::IN_MOVED_FROM | libc::IN_ATTRIB | libc::IN_DELETE_SELF;
    // SAFETY: the string ends with a zero and lives through the call.
    if unsafe { libc::inotify_add_watch(fd.as_raw_fd(), path.as_ptr(), mask) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(fd)
}

/// Answers one client until it has no more requests.
async fn converse(mut stream: UnixStream, commands: mpsc::Sender<Command>) {
    let mut requests = Requests::new(interface_index);
    let mut bytes = Zeroizing::new(vec![0; READ_LEN]);
    loop {
        match stream.read(&mut bytes).await {
            Ok(0) | Err(_) => break,
            Ok(len) => requests.handle_bytes(&bytes[..len]),
        }
        while let Some(request) = requests.poll_request() {
            let mut is_last = false;
            let answer = match request {
                Ok(Request::Get) => ask(&commands, Command::Get).await,
                Ok(Request::Set(change)) => {
                    let outcome = ask(&commands, |answer| Command::Set(change, answer)).await;
                    outcome.map(|outcome| set_answer(errno(&outcome)))
                }
                Err(error) => {
                    debug!(%error, "a UAPI request was refused");
                    is_last = error.ends_connection();
                    Some(set_answer(error.errno()))
                }
            };
            let Some(answer) = answer else { return };
            if stream.write_all(answer.as_bytes()).await.is_err() || is_last {
                return;
            }
        }
    }
    if let Err(error) = requests.handle_end() {
        debug!(%error, "a UAPI request was not finished");
    }
}

/// Hands a command to the driver and waits for the outcome; `None` when the device is gone.
async fn ask<T>(
    commands: &mpsc::Sender<Command>,
    command: impl FnOnce(oneshot::Sender<T>) -> Command,
) -> Option<T> {
    let (answer, outcome) = oneshot::channel();
    commands.send(command(answer)).await.ok()?;
    outcome.await.ok()
}

/// How the protocol says what became of a change.
fn errno(outcome: &Result<(), TunnelError>) -> Errno {
    match outcome.as_ref().map_err(TunnelError::errno) {
        Ok(()) => Errno::SUCCESS,
        Err(Some(libc::EADDRINUSE)) => Errno::EADDRINUSE,
        Err(_) => Errno::EIO,
    }
}

fn set_answer(errno: Errno) -> Zeroizing<String> {
    let mut answer = Zeroizing::default();
    write_set_answer(&mut *answer, errno).expect("writing to a string does not fail");
    answer
}
