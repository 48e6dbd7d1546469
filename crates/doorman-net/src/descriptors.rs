//! Descriptors that are left.
//!
//! A new descriptor has the lowest number that is free (POSIX.1-2017, section 2.14), so its number says how many are in
//! use, and nobody has to count them. Clients get none of the last part of those that the process may have, and
//! connections to servers none of the very last: with those a configuration is read, a log opened again and an operator
//! answered while clients take all that they can get (RXC-08).

use std::io;
use std::os::fd::AsRawFd;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// Whom a descriptor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// A connection that a client made.
    Client,
    /// A connection to a server.
    Server,
}

/// Whether this descriptor, which is new, is one of those that are kept for others.
pub(crate) fn is_reserved(descriptor: &impl AsRawFd, of: Use) -> bool {
    // Asked each time, since it can be changed from outside; a tenth of a microsecond.
    let Some(limit) = getrlimit(Resource::Nofile).current else { return false };
    u64::try_from(descriptor.as_raw_fd()).is_ok_and(|number| number >= first_reserved(limit, of))
}

/// The first number that is for others.
fn first_reserved(limit: u64, of: Use) -> u64 {
    // For files and operators.
    let last = (limit / 32).clamp(8, 64);
    // Nearly every request of a client wants a server, and few clients have one under way.
    let servers = (limit / 4).min(16_384);
    limit.saturating_sub(match of {
        Use::Server => last,
        Use::Client => last + servers,
    })
}

/// Whether an error says that no descriptor is left, to the process or to the machine.
pub(crate) fn is_exhausted(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|one| error.raw_os_error() == Some(one.raw_os_error()))
}

/// What the system says when none is left.
pub(crate) fn exhausted() -> io::Error {
    Errno::MFILE.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_use_keeps_some_for_those_that_matter_more() {
        for (limit, client, server) in [
            (256, 184, 248),
            (1_024, 736, 992),
            (65_536, 49_088, 65_472),
            (1 << 30, (1 << 30) - 16_448, (1 << 30) - 64),
            (4, 0, 0),
        ] {
            assert_eq!(first_reserved(limit, Use::Client), client, "{limit}");
            assert_eq!(first_reserved(limit, Use::Server), server, "{limit}");
        }
        assert!(is_exhausted(&exhausted()));
        assert!(!is_exhausted(&io::ErrorKind::ConnectionRefused.into()));
    }
}
