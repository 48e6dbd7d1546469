//! The other end of the admin API: what `doorman reload`, `doorman status` and later commands
//! speak. One call is one connection; nothing here needs a runtime.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use doorman_config::SocketAddress;
use serde_json::Value;

use super::guard::read_token;
use super::{default_socket, status};
use crate::engine::{NOBODY, Origin, read};

/// A connection on the same machine, or nearly so.
const CONNECT: Duration = Duration::from_secs(3);
/// A reload reads files and keys, and waits for one before it.
const ANSWER: Duration = Duration::from_secs(60);
/// Bytes of an answer: a status with some ten thousand servers.
const ANSWER_MAX: u64 = 16 * 1024 * 1024;

/// A way to a running proxy.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddress,
    token: Option<Vec<u8>>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// Nobody answers there.
    Unreachable(String),
    /// The socket or the token does not let us.
    NotPermitted(String),
    /// What was given is no address.
    Usage(String),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) | Self::NotPermitted(why) | Self::Usage(why) => f.write_str(why),
        }
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status code.
    pub code: u16,
    /// Content.
    pub body: Value,
}

impl Client {
    /// Finds the proxy: by `given` (`--admin`), `$DOORMAN_ADMIN`, the configuration, or the
    /// default socket, in this order.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if what was given is no address, [`ClientError::NotPermitted`] if
    /// the token cannot be read.
    pub(crate) fn find(given: Option<&str>, config: &Path) -> Result<Self, ClientError> {
        let from_env = std::env::var("DOORMAN_ADMIN").ok().filter(|text| !text.is_empty());
        // The configuration is only asked where it is; a broken one names no socket.
        let loaded =
            config.is_file().then(|| read(&Origin::File(config.to_owned()), NOBODY).ok()).flatten();
        let config = loaded.map(|(config, ..)| config);
        let global = config.as_ref().map(|config| config.global.clone()).unwrap_or_default();
        let admin = global.admin.as_ref();
        let address = match given.map(str::to_owned).or(from_env) {
            Some(text) => parse(&text).ok_or_else(|| {
                ClientError::Usage(format!("`{text}` is neither unix:PATH nor IP:PORT"))
            })?,
            None => match admin {
                Some(admin) => admin.value.address.clone(),
                None => SocketAddress::Unix(default_socket(&global)),
            },
        };
        let file = std::env::var_os("DOORMAN_ADMIN_TOKEN_FILE").map(PathBuf::from).or_else(|| {
            let admin = admin.filter(|admin| admin.value.address == address)?;
            admin.value.token_file.as_ref().map(|file| file.value.clone())
        });
        let token = file.map(|file| read_token(&file)).transpose();
        Ok(Self { address, token: token.map_err(ClientError::NotPermitted)? })
    }

    /// Makes a call.
    ///
    /// # Errors
    /// Nobody answers, or the call is not permitted.
    pub(crate) fn call(&self, method: &str, path: &str) -> Result<Answer, ClientError> {
        let answer = match &self.address {
            SocketAddress::Unix(socket) => UnixStream::connect(socket).and_then(|stream| {
                stream.set_read_timeout(Some(ANSWER))?;
                self.exchange(stream, method, path)
            }),
            SocketAddress::Ip(address) => self.tcp(*address, method, path),
            SocketAddress::Any(port) => self.tcp((Ipv4Addr::LOCALHOST, *port).into(), method, path),
        };
        let answer = answer.map_err(|error| self.explain(&error))?;
        match answer.code {
            401 | 403 | 421 => {
                let why = answer.body["error"].as_str().unwrap_or("refused");
                Err(ClientError::NotPermitted(format!(
                    "not permitted: {why}\n  help: a token is read from the file that \
                     $DOORMAN_ADMIN_TOKEN_FILE or `token-file` of the configuration names"
                )))
            }
            _ => Ok(answer),
        }
    }

    /// The status of the proxy.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub(crate) fn status(&self) -> Result<(status::Status, Value), ClientError> {
        let answer = self.call("GET", "/status")?;
        let strange =
            |_| ClientError::Unreachable(format!("what answers on {} is no doorman", self.address));
        let status = serde_json::from_value(answer.body.clone()).map_err(strange)?;
        Ok((status, answer.body))
    }

    fn tcp(&self, address: SocketAddr, method: &str, path: &str) -> io::Result<Answer> {
        let stream = TcpStream::connect_timeout(&address, CONNECT)?;
        stream.set_read_timeout(Some(ANSWER))?;
        self.exchange(stream, method, path)
    }

    fn exchange(
        &self,
        mut stream: impl Read + Write,
        method: &str,
        path: &str,
    ) -> io::Result<Answer> {
        let host = match &self.address {
            SocketAddress::Ip(address) => address.to_string(),
            SocketAddress::Unix(_) | SocketAddress::Any(_) => "localhost".to_owned(),
        };
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 0\r\n"
        )
        .into_bytes();
        if let Some(token) = &self.token {
            request.extend_from_slice(b"authorization: Bearer ");
            request.extend_from_slice(token);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        stream.write_all(&request)?;
        let mut bytes = Vec::new();
        stream.take(ANSWER_MAX).read_to_end(&mut bytes)?;
        parse_answer(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn explain(&self, error: &io::Error) -> ClientError {
        let address = &self.address;
        let owner = || match address {
            SocketAddress::Unix(path) => owner(path),
            SocketAddress::Ip(_) | SocketAddress::Any(_) => None,
        };
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                let who = owner().unwrap_or_else(|| "another user".to_owned());
                ClientError::NotPermitted(format!(
                    "not permitted to connect to {address}: it belongs to {who}\n  \
                     help: run the command as that user, for example with sudo -u"
                ))
            }
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::Unreachable(format!(
                    "no doorman answers on {address}\n  help: start it by `doorman run`, or name \
                     its socket by --admin, $DOORMAN_ADMIN or `global {{ admin ... }}`"
                ))
            }
            _ => ClientError::Unreachable(format!("no answer from {address}: {error}")),
        }
    }
}

fn parse(text: &str) -> Option<SocketAddress> {
    if let Some(path) = text.strip_prefix("unix:") {
        return (!path.is_empty()).then(|| SocketAddress::Unix(path.into()));
    }
    if text.starts_with('/') {
        return Some(SocketAddress::Unix(text.into()));
    }
    text.parse().ok().map(SocketAddress::Ip)
}

/// Status and content of an answer that was read to the end of its connection.
fn parse_answer(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let line = bytes.strip_prefix(b"HTTP/1.1 ")?;
    let code = std::str::from_utf8(line.get(..3)?).ok()?.parse().ok()?;
    Some(Answer { code, body: serde_json::from_slice(&bytes[end + 4..]).ok()? })
}

/// Name or number of a file's user and group.
fn owner(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    // Inside a folder that is closed to us, the folder's owner is who to ask for.
    let facts = std::fs::symlink_metadata(path)
        .or_else(|_| std::fs::symlink_metadata(path.parent().unwrap_or(path)))
        .ok()?;
    let (user, group) = (user_name(facts.uid()), name_in("/etc/group", facts.gid()));
    Some(format!("user {user}, group {group}"))
}

/// The name of a user; the number if it has none.
pub(crate) fn user_name(id: u32) -> String {
    name_in("/etc/passwd", id)
}

fn name_in(file: &str, id: u32) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let found = text.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)? == id.to_string()).then(|| name.to_owned())
    });
    found.unwrap_or_else(|| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, expect) in [
            ("unix:/run/a.sock", Some("unix:/run/a.sock")),
            ("/run/a.sock", Some("unix:/run/a.sock")),
            ("127.0.0.1:9901", Some("127.0.0.1:9901")),
            ("[::1]:9901", Some("[::1]:9901")),
            ("unix:", None),
            ("localhost:9901", None),
            ("9901", None),
        ] {
            assert_eq!(parse(text).map(|address| address.to_string()).as_deref(), expect, "{text}");
        }
    }

    #[test]
    fn answers() {
        let good = b"HTTP/1.1 422 Unprocessable Content\r\na: b\r\n\r\n{\"error\":\"x\"}";
        let answer = parse_answer(good).unwrap();
        assert_eq!((answer.code, answer.body["error"].as_str()), (422, Some("x")));
        for bad in
            [&b""[..], b"HTTP/1.1 200 OK\r\n\r\n", b"SSH-2.0\r\n\r\n{}", b"HTTP/1.1 2\r\n\r\n"]
        {
            assert!(parse_answer(bad).is_none(), "{bad:?}");
        }
    }
}
