//! The engine's errors as the exceptions of `meshvpn.errors`, each with the way out.

use meshvpn_engine::netlink::NetlinkError;
use meshvpn_engine::tun::OpenError;
use meshvpn_engine::tun::monitor::MonitorError;
use meshvpn_engine::tunnel::TunnelError;
use meshvpn_server::coordinator::request::RequestError;
use meshvpn_server::coordinator::service::running::StartError;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyType};
use std::io;

pyo3::import_exception!(meshvpn.errors, ConfigError);
pyo3::import_exception!(meshvpn.errors, CoordinatorError);
pyo3::import_exception!(meshvpn.errors, DeviceError);
pyo3::import_exception!(meshvpn.errors, NetworkError);
pyo3::import_exception!(meshvpn.errors, PermissionDeniedError);
pyo3::import_exception!(meshvpn.errors, TunnelClosedError);

const NEEDS_NET_ADMIN: &str = "creating a device needs CAP_NET_ADMIN: run as root (sudo), or in a \
     container with --cap-add NET_ADMIN --device /dev/net/tun";

/// A [`ConfigError`] with a hint.
pub(crate) fn config_error(message: &str, hint: &str) -> PyErr {
    Python::attach(|py| with_hint(py, &py.get_type::<ConfigError>(), message, hint))
}

/// The tunnel or device was closed, or its device deleted.
pub(crate) fn closed_error(message: &str) -> PyErr {
    TunnelClosedError::new_err(message.to_owned())
}

/// A device that could not be used.
pub(crate) fn device_error(message: &str, error: &io::Error) -> PyErr {
    DeviceError::new_err(format!("{message}: {error}"))
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

/// Why a coordinator could not be started.
pub(crate) fn coordinator_error(error: &StartError) -> PyErr {
    let message = error.to_string();
    match error {
        StartError::Bind { source, .. } => Python::attach(|py| {
            let hint = match source.raw_os_error() {
                Some(libc::EADDRINUSE) => "another program listens there: choose another port",
                Some(libc::EADDRNOTAVAIL) => "the address must be one of this host's, or 0.0.0.0",
                Some(libc::EACCES) => "ports below 1024 need root or CAP_NET_BIND_SERVICE",
                _ => "check `listen`",
            };
            with_hint(py, &py.get_type::<NetworkError>(), &message, hint)
        }),
        StartError::OnThread(source) if is_denied(source.raw_os_error()) => denied(&message),
        StartError::OnThread(_) => no_namespace(&message),
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
