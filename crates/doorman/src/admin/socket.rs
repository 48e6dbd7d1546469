//! Sockets of the admin API and the metrics. A Unix socket is the user's own from the moment it
//! exists: its rights are set before it has a name.

use std::fs::DirBuilder;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use doorman_config::SocketAddress;
use rustix::fs::{Mode, fchmod};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with, sockopt,
};

/// Connections that the kernel holds for us: a person and a scraper or two.
const BACKLOG: i32 = 64;

/// A socket that listens and is not served yet.
pub(super) struct Socket {
    pub(super) descriptor: OwnedFd,
    pub(super) file: Option<SocketFile>,
}

/// The name of a Unix socket in the file system; removed on drop, if it is still ours.
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Socket {
    /// Binds and listens.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn bind(address: &SocketAddress) -> io::Result<Self> {
        match address {
            SocketAddress::Unix(path) => unix(path),
            SocketAddress::Ip(address) => inet(*address),
            // One socket for both families; a machine without IPv6 has the other one.
            SocketAddress::Any(port) => {
                inet((Ipv6Addr::UNSPECIFIED, *port).into()).or_else(|error| {
                    match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
                        Some(rustix::io::Errno::AFNOSUPPORT | rustix::io::Errno::ADDRNOTAVAIL) => {
                            inet((Ipv4Addr::UNSPECIFIED, *port).into())
                        }
                        _ => Err(error),
                    }
                })
            }
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

fn inet(address: SocketAddr) -> io::Result<Socket> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket_with(family, SocketType::STREAM, FLAGS, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    if address.is_ipv6() {
        let both = address.ip() == Ipv6Addr::UNSPECIFIED;
        sockopt::set_ipv6_v6only(&socket, !both)?;
    }
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(Socket { descriptor: socket, file: None })
}

fn unix(path: &Path) -> io::Result<Socket> {
    if let Some(folder) = path.parent() {
        // Only missing folders are made, and those are nobody else's.
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    remove_stale(path)?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)?;
    // On Linux the file takes the rights of the socket, so that there is no moment at which
    // others may connect. A symbolic link at `path` is not followed: binding says "in use".
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    let file = SocketFile { path: path.to_owned(), identity: identity(path)? };
    listen(&socket, BACKLOG)?;
    Ok(Socket { descriptor: socket, file: Some(file) })
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let facts = std::fs::symlink_metadata(path)?;
    Ok((facts.dev(), facts.ino()))
}

/// A socket file that nobody answers on is left over from a process that is gone.
fn remove_stale(path: &Path) -> io::Result<()> {
    let facts = match std::fs::symlink_metadata(path) {
        Ok(facts) => facts,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !facts.file_type().is_socket() {
        let why = "what is there is no socket; it is left alone";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        // Somebody else's, or one whose queue is full: it lives.
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("doorman-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_unix_socket_is_the_users_own_and_goes_with_its_owner() {
        let folder = folder("socket-own");
        let path = folder.join("sub/admin.sock");
        let address = SocketAddress::Unix(path.clone());
        let socket = Socket::bind(&address).unwrap();
        let mode = |path: &Path| std::fs::symlink_metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path) & 0o777, 0o600);
        assert_eq!(mode(&folder.join("sub")) & 0o777, 0o700);
        let error = Socket::bind(&address).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "a live one is refused");
        drop(socket);
        assert!(!path.exists());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_in_the_way() {
        let folder = folder("socket-way");
        let path = folder.join("admin.sock");
        let address = SocketAddress::Unix(path.clone());
        drop(UnixListener::bind(&path).unwrap());
        let first = Socket::bind(&address).expect("a stale one is replaced");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "precious").unwrap();
        drop(first);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious", "no longer ours");
        let error = Socket::bind(&address).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        std::fs::remove_file(&path).unwrap();
        let elsewhere = folder.join("elsewhere.sock");
        for target in [&elsewhere, &folder.join("file")] {
            std::os::unix::fs::symlink(target, &path).unwrap();
            assert!(Socket::bind(&address).is_err(), "a link is not followed");
            assert!(!target.exists());
            std::fs::remove_file(&path).unwrap();
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_port_in_use_is_refused() {
        let socket = Socket::bind(&SocketAddress::Ip((Ipv4Addr::LOCALHOST, 0).into())).unwrap();
        let bound: SocketAddr =
            rustix::net::getsockname(&socket.descriptor).unwrap().try_into().unwrap();
        let error = Socket::bind(&SocketAddress::Ip(bound)).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
