//! The engine's errors as the exceptions of `meshvpn.errors`, each with the way out.

use meshvpn_engine::capture::CaptureError as EngineCaptureError;
use meshvpn_engine::dns::ResolverError;
use meshvpn_engine::dns::system::SystemDnsError;
use meshvpn_engine::netlink::NetlinkError;
use meshvpn_engine::tun::OpenError;
use meshvpn_engine::tun::monitor::MonitorError;
use meshvpn_engine::tunnel::TunnelError;
use meshvpn_proto::noise::handshake::HandshakeError;
use meshvpn_server::coordinator::request::RequestError;
use meshvpn_server::coordinator::service::running::StartError as CoordinatorStart;
use meshvpn_server::listen::CertificateError;
use meshvpn_server::relay::running::StartError;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyType};
use std::io;

pyo3::import_exception!(meshvpn.errors, AuthenticationError);
pyo3::import_exception!(meshvpn.errors, CaptureError);
pyo3::import_exception!(meshvpn.errors, ConfigError);
pyo3::import_exception!(meshvpn.errors, CoordinatorError);
pyo3::import_exception!(meshvpn.errors, DeviceError);
pyo3::import_exception!(meshvpn.errors, NetworkError);
pyo3::import_exception!(meshvpn.errors, OutOfTurnError);
pyo3::import_exception!(meshvpn.errors, PermissionDeniedError);
pyo3::import_exception!(meshvpn.errors, ReplayError);
pyo3::import_exception!(meshvpn.errors, TunnelClosedError);

const NEEDS_NET_ADMIN: &str = "creating a device needs CAP_NET_ADMIN: run as root (sudo), or in a \
     container with --cap-add NET_ADMIN --device /dev/net/tun";

/// A [`ConfigError`] with a hint.
pub(crate) fn config_error(message: &str, hint: &str) -> PyErr {
    Python::attach(|py| with_hint(py, &py.get_type::<ConfigError>(), message, hint))
}

/// An [`AuthenticationError`] with a hint.
pub(crate) fn authentication_error(message: &str, hint: &str) -> PyErr {
    Python::attach(|py| with_hint(py, &py.get_type::<AuthenticationError>(), message, hint))
}

/// A [`ReplayError`] with a hint.
pub(crate) fn replay_error(message: &str, hint: &str) -> PyErr {
    Python::attach(|py| with_hint(py, &py.get_type::<ReplayError>(), message, hint))
}

/// An [`OutOfTurnError`] with a hint.
pub(crate) fn out_of_turn_error(message: &str, hint: &str) -> PyErr {
    Python::attach(|py| with_hint(py, &py.get_type::<OutOfTurnError>(), message, hint))
}

/// Why a handshake went no further; `hint` says what it may be when a message was not authentic.
pub(crate) fn handshake_error(field: &str, error: HandshakeError, hint: &str) -> PyErr {
    let message = format!("{field}: {error}");
    match error {
        HandshakeError::OutOfOrder => out_of_turn_error(
            &message,
            "each message is written and read once, in its order; a new handshake begins with a new object",
        ),
        HandshakeError::TooLong => config_error(&message, "send less in it"),
        _ => authentication_error(&message, hint),
    }
}

/// The tunnel or device was closed, or its device deleted.
pub(crate) fn closed_error(message: &str) -> PyErr {
    TunnelClosedError::new_err(message.to_owned())
}

/// A device that could not be used.
pub(crate) fn device_error(message: &str, error: &io::Error) -> PyErr {
    DeviceError::new_err(format!("{message}: {error}"))
}

/// A network that could not be used.
pub(crate) fn network_error(message: &str, error: &io::Error) -> PyErr {
    NetworkError::new_err(format!("{message}: {error}"))
}

/// Why a tunnel could not be started.
pub(crate) fn tunnel_error(error: &TunnelError) -> PyErr {
    let message = error.to_string();
    match error {
        // Binding and connecting say EACCES of ports and routes; only EPERM is a missing privilege.
        TunnelError::Bind { .. } | TunnelError::Unreachable { .. }
            if error.errno() == Some(libc::EPERM) =>
        {
            denied(&message)
        }
        TunnelError::Netns { .. } if is_denied(error.errno()) => denied(&message),
        TunnelError::Config { .. } => ConfigError::new_err(message),
        TunnelError::Loop { .. } => config_error(
            &message,
            "add a more specific route to it outside the tunnel, or set `mark` and a routing rule \
             for that mark",
        ),
        TunnelError::Netns { .. } => no_namespace(&message),
        TunnelError::Aead(_) => config_error(
            &message,
            "leave `aead` out to take the fastest one that is here",
        ),
        TunnelError::Device(error) => open_error(error),
        TunnelError::Netlink(error) => netlink_error(error),
        TunnelError::Bind { .. } => Python::attach(|py| {
            let hint = match error.errno() {
                Some(libc::EADDRINUSE) => "another socket has that port: choose another one",
                Some(libc::EADDRNOTAVAIL) => {
                    "the address must be one of this host's (in the tunnel's namespace), or \
                     0.0.0.0 or [::]"
                }
                Some(libc::EACCES) => "ports below 1024 need root or CAP_NET_BIND_SERVICE",
                _ => "check `local`",
            };
            with_hint(py, &py.get_type::<NetworkError>(), &message, hint)
        }),
        TunnelError::Unreachable { .. } => Python::attach(|py| {
            let hint =
                "check `remote`, and the routes in the tunnel's namespace: ip route get ADDRESS";
            with_hint(py, &py.get_type::<NetworkError>(), &message, hint)
        }),
        TunnelError::Uapi { source } => Python::attach(|py| {
            let hint = match source.raw_os_error() {
                Some(libc::EPERM | libc::EACCES | libc::EROFS) => {
                    "/var/run/wireguard must be writable: run as root"
                }
                _ if source.kind() == io::ErrorKind::AddrInUse => {
                    "another process has a device of that name, in whichever namespace: choose \
                     another name"
                }
                _ => "check /var/run/wireguard",
            };
            with_hint(py, &py.get_type::<DeviceError>(), &message, hint)
        }),
        TunnelError::System(source) if source.kind() == io::ErrorKind::NotConnected => {
            closed_error("the device is closed")
        }
        _ => DeviceError::new_err(message),
    }
}

/// Why there is no capture, or why it is not complete.
pub(crate) fn capture_error(error: &EngineCaptureError) -> PyErr {
    let message = error.to_string();
    let hint = match error {
        EngineCaptureError::NoSecrets => {
            return config_error(
                &message,
                "leave `secrets` out; WireGuard devices have such keys",
            );
        }
        EngineCaptureError::System(source) if source.kind() == io::ErrorKind::NotConnected => {
            return closed_error("nothing can be captured any more: it is closed");
        }
        EngineCaptureError::Exposed { .. } => {
            return Python::attach(|py| {
                let hint = "remove it or choose another path: a new file is its owner's alone";
                with_hint(py, &py.get_type::<PermissionDeniedError>(), &message, hint)
            });
        }
        EngineCaptureError::Open { source, .. } => match source.raw_os_error() {
            Some(libc::EACCES | libc::EPERM | libc::EROFS) => {
                return PermissionDeniedError::new_err(message);
            }
            Some(libc::ENOSPC | libc::EDQUOT) => "make room there, or choose another place",
            Some(libc::ENXIO) => "nobody reads this pipe: start the reader first",
            _ => "give the path of a file in a directory that is there",
        },
        EngineCaptureError::System(_) => "the process may be at its limit of threads: ulimit -u",
        _ => "packets until then are in the file; is there room on the disk?",
    };
    Python::attach(|py| with_hint(py, &py.get_type::<CaptureError>(), &message, hint))
}

/// Why a device could not be created.
pub(crate) fn monitor_error(error: &MonitorError) -> PyErr {
    let message = error.to_string();
    match error {
        MonitorError::Netns { source, .. } if is_denied(source.raw_os_error()) => denied(&message),
        MonitorError::Netns { .. } => no_namespace(&message),
        MonitorError::Device(error) => open_error(error),
        MonitorError::Netlink(error) => netlink_error(error),
        _ => DeviceError::new_err(message),
    }
}

/// Why a relay could not be started; `netns` is the namespace that it was to live in.
pub(crate) fn relay_error(error: &StartError, netns: Option<&str>) -> PyErr {
    let message = error.to_string();
    match error {
        StartError::OnThread(source) => thread_error(source, &message, netns),
        StartError::Bind { source, .. } => listen_error(source, &message),
        StartError::Certificate(error) => certificate_error(error),
        _ => NetworkError::new_err(message),
    }
}

/// Why a server's thread could not enter the namespace that it was to live in.
fn thread_error(source: &io::Error, message: &str, netns: Option<&str>) -> PyErr {
    let message = format!("netns: {}: {message}", netns.unwrap_or_default());
    if is_denied(source.raw_os_error()) {
        denied(&message)
    } else {
        no_namespace(&message)
    }
}

/// Why a server could not listen.
fn listen_error(source: &io::Error, message: &str) -> PyErr {
    Python::attach(|py| {
        let hint = match source.raw_os_error() {
            Some(libc::EADDRINUSE) => "another program listens there: choose another port",
            Some(libc::EADDRNOTAVAIL) => {
                "the address must be one of this host's (in the server's namespace), or 0.0.0.0 \
                 or [::]"
            }
            Some(libc::EACCES) => "ports below 1024 need root or CAP_NET_BIND_SERVICE",
            _ => "check `listen`",
        };
        with_hint(py, &py.get_type::<NetworkError>(), message, hint)
    })
}

/// What is wrong with a certificate.
pub(crate) fn certificate_error(error: &CertificateError) -> PyErr {
    let hint = match error {
        CertificateError::Name(_) => "give a DNS name or an IP address as `host`",
        _ => "give the paths of PEM files that belong together, or use self_signed=True",
    };
    config_error(&error.to_string(), hint)
}

/// Why a resolver could not be started.
pub(crate) fn resolver_error(error: &ResolverError) -> PyErr {
    let message = error.to_string();
    match error {
        ResolverError::Config { .. } => ConfigError::new_err(message),
        ResolverError::Netns { source, .. } if is_denied(source.raw_os_error()) => denied(&message),
        ResolverError::Netns { .. } => no_namespace(&message),
        ResolverError::Bind { source, .. } => Python::attach(|py| {
            let hint = match source.raw_os_error() {
                Some(libc::EADDRINUSE) => "another resolver has that port: choose another address",
                Some(libc::EADDRNOTAVAIL) => {
                    "the address must be one of this host's (in the resolver's namespace)"
                }
                Some(libc::EACCES) => "ports below 1024 need root or CAP_NET_BIND_SERVICE",
                _ => "check `listen`",
            };
            with_hint(py, &py.get_type::<NetworkError>(), &message, hint)
        }),
        _ => NetworkError::new_err(message),
    }
}

/// Why the system could not be told whom to ask, or that not be taken back.
pub(crate) fn system_dns_error(error: &SystemDnsError) -> PyErr {
    let message = error.to_string();
    let hint = match error {
        SystemDnsError::Config { .. } => return ConfigError::new_err(message),
        SystemDnsError::InUse(_) => "end that one first",
        SystemDnsError::Edited(_) => {
            "put back what was there before, from the file beside it; or, if it is as you want it, \
             remove its line that begins with \"# meshvpn\""
        }
        SystemDnsError::Lost(..) => "write it anew, with the name servers of your network",
        SystemDnsError::File { source, .. } if is_denied(source.raw_os_error()) => {
            return Python::attach(|py| {
                let kind = py.get_type::<PermissionDeniedError>();
                with_hint(py, &kind, &message, "run as root (sudo)")
            });
        }
        SystemDnsError::Resolvectl { .. } => {
            "see: resolvectl status; or use the method resolv.conf"
        }
        _ => "check the file and its directory",
    };
    Python::attach(|py| with_hint(py, &py.get_type::<NetworkError>(), &message, hint))
}

/// Why a coordinator could not be started; `netns` is the namespace that it was to live in.
pub(crate) fn coordinator_error(error: &CoordinatorStart, netns: Option<&str>) -> PyErr {
    let message = error.to_string();
    match error {
        CoordinatorStart::OnThread(source) => thread_error(source, &message, netns),
        CoordinatorStart::Bind { source, .. } => listen_error(source, &message),
        CoordinatorStart::Certificate(error) => certificate_error(error),
        _ => Python::attach(|py| {
            let hint = "check that `state` is a directory of this user's, on a disk with room";
            with_hint(py, &py.get_type::<CoordinatorError>(), &message, hint)
        }),
    }
}

/// Why a coordinator refuses a request.
pub(crate) fn request_error(error: &RequestError) -> PyErr {
    let message = error.to_string();
    match error {
        RequestError::Unavailable(_) => CoordinatorError::new_err(message),
        _ => ConfigError::new_err(message),
    }
}

fn open_error(error: &OpenError) -> PyErr {
    let message = error.to_string();
    let OpenError::Kernel { source, .. } = error else {
        return ConfigError::new_err(message);
    };
    let hint = match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => return denied(&message),
        Some(libc::EBUSY) => "a device of that name is in use: choose another name",
        Some(libc::EEXIST) => {
            "a persistent device has that name: choose another name, or remove it with \
             ip tuntap del mode tun dev NAME"
        }
        Some(libc::ENOENT | libc::ENXIO | libc::ENODEV) => {
            "the kernel's TUN driver is missing: modprobe tun, and in containers pass /dev/net/tun"
        }
        Some(libc::EINVAL) => "a network interface of that name exists and is no TUN device",
        _ => "see the kernel's log: dmesg",
    };
    Python::attach(|py| with_hint(py, &py.get_type::<DeviceError>(), &message, hint))
}

fn netlink_error(error: &NetlinkError) -> PyErr {
    let message = error.to_string();
    let hint = match error.source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => return denied(&message),
        Some(libc::EEXIST) => "another device has it already: ip address, ip route",
        Some(libc::EINVAL) => "the kernel does not accept this value",
        _ => "see ip address, ip route and the kernel's log",
    };
    Python::attach(|py| with_hint(py, &py.get_type::<NetworkError>(), &message, hint))
}

fn no_namespace(message: &str) -> PyErr {
    config_error(
        message,
        "list the namespaces with: ip netns; make one with: ip netns add NAME",
    )
}

fn denied(message: &str) -> PyErr {
    Python::attach(|py| {
        with_hint(
            py,
            &py.get_type::<PermissionDeniedError>(),
            message,
            NEEDS_NET_ADMIN,
        )
    })
}

fn is_denied(errno: Option<i32>) -> bool {
    matches!(errno, Some(libc::EPERM | libc::EACCES))
}

fn with_hint(py: Python<'_>, kind: &Bound<'_, PyType>, message: &str, hint: &str) -> PyErr {
    let made = [("hint", hint)]
        .into_py_dict(py)
        .and_then(|arguments| kind.call((message,), Some(&arguments)));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}
