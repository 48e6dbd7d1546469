//! The servers that a request has tried.
//!
//! A short list in place, not a set: a request tries few servers, and the list is looked through
//! only when it tries a second one.

use crate::ServerId;

/// Servers that one request may try; past it no further one is picked.
pub const TRIED_MAX: usize = 16;

/// Servers that one request has tried already and must not be sent to again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried {
    servers: [u32; TRIED_MAX],
    count: usize,
}

impl Tried {
    /// No server.
    #[must_use]
    pub const fn none() -> Self {
        Self { servers: [0; TRIED_MAX], count: 0 }
    }

    /// Adds a server. Once the list is full, nothing is picked any more, so nothing is lost.
    pub fn add(&mut self, server: ServerId) {
        if self.count < TRIED_MAX && !self.has(server) {
            self.servers[self.count] = server.0;
            self.count += 1;
        }
    }

    /// Whether that server was tried.
    #[must_use]
    pub fn has(&self, server: ServerId) -> bool {
        self.servers[..self.count].contains(&server.0)
    }

    /// How many were tried.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether none was tried.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether no further server may be tried.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.count == TRIED_MAX
    }
}
