//! The rig of the stories: origins, clients and the proxy as a process.

pub(crate) mod client;
pub(crate) mod house;
pub(crate) mod origin;
pub(crate) mod wire;

use std::time::Duration;

pub(crate) use client::{Ask, Client, Failure};
pub(crate) use house::House;
pub(crate) use origin::{Origin, Seen, Talk};
pub(crate) use wire::{Lane, Wire};

/// The longest that anything waits: far above any timeout of a story, so a hang fails and says where.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How clients reach the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    H1,
    H1Tls,
    H2,
}

/// How the proxy reaches origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Back {
    H1,
    H1Tls,
}

/// One of the pairs that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) front: Front,
    pub(crate) back: Back,
}

impl Pair {
    /// No TLS anywhere: for stories about what lies above it.
    pub(crate) const PLAIN: Self = Self { front: Front::H1, back: Back::H1 };
}

/// Makes a test of each story over each pair.
macro_rules! pairs {
    ($($story:ident),+ $(,)?) => {$(
        mod $story {
            use crate::rig::{Back, Front, Pair};
            #[test]
            fn h1_h1() { super::$story(Pair { front: Front::H1, back: Back::H1 }); }
            #[test]
            fn h1_tls() { super::$story(Pair { front: Front::H1, back: Back::H1Tls }); }
            #[test]
            fn tls_h1() { super::$story(Pair { front: Front::H1Tls, back: Back::H1 }); }
            #[test]
            fn tls_tls() { super::$story(Pair { front: Front::H1Tls, back: Back::H1Tls }); }
            #[test]
            fn h2_h1() { super::$story(Pair { front: Front::H2, back: Back::H1 }); }
            #[test]
            fn h2_tls() { super::$story(Pair { front: Front::H2, back: Back::H1Tls }); }
        }
    )+};
}
pub(crate) use pairs;

/// Makes a test of each story over each pair whose front is HTTP/1.1.
macro_rules! h1_pairs {
    ($($story:ident),+ $(,)?) => {$(
        mod $story {
            use crate::rig::{Back, Front, Pair};
            #[test]
            fn h1_h1() { super::$story(Pair { front: Front::H1, back: Back::H1 }); }
            #[test]
            fn h1_tls() { super::$story(Pair { front: Front::H1, back: Back::H1Tls }); }
            #[test]
            fn tls_h1() { super::$story(Pair { front: Front::H1Tls, back: Back::H1 }); }
            #[test]
            fn tls_tls() { super::$story(Pair { front: Front::H1Tls, back: Back::H1Tls }); }
        }
    )+};
}
pub(crate) use h1_pairs;
