//! The rig of the stories: origins, clients and the proxy as a process.

pub(crate) mod bridge;
pub(crate) mod cgi;
pub(crate) mod client;
pub(crate) mod flow;
pub(crate) mod house;
pub(crate) mod origin;
pub(crate) mod quic;
pub(crate) mod wire;

use std::time::Duration;

pub(crate) use client::{Ask, Client, Failure};
pub(crate) use flow::Flow;
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
    H2c,
    H3,
}

impl Front {
    /// Whether clients speak HTTP/2.
    pub(crate) fn is_h2(self) -> bool {
        matches!(self, Self::H2 | Self::H2c)
    }

    /// The scheme that clients ask by.
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Self::H1 | Self::H2c => "http",
            Self::H1Tls | Self::H2 | Self::H3 => "https",
        }
    }
}

/// How the proxy reaches origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Back {
    H1,
    H1Tls,
    H2,
    H2c,
    H3,
    /// FastCGI.
    Cgi,
}

impl Back {
    /// The scheme that the proxy asks by.
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Self::H1 | Self::H2c | Self::Cgi => "http",
            Self::H1Tls | Self::H2 | Self::H3 => "https",
        }
    }
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

/// Makes a test of each story over each pair of these.
macro_rules! over {
    ($($story:ident),+ => $pairs:tt) => {$(
        mod $story {
            use crate::rig::{Back, Front, Pair};
            crate::rig::over!(@each $story $pairs);
        }
    )+};
    (@each $story:ident [$($name:ident: $front:ident $back:ident),+]) => {$(
        #[test]
        fn $name() { super::$story(Pair { front: Front::$front, back: Back::$back }); }
    )+};
}
pub(crate) use over;

/// Makes a test of each story over each pair there is: FastCGI applications are origins like others.
macro_rules! all_pairs {
    ($($story:ident),+ $(,)?) => {
        crate::rig::over!($($story),+ => [
            h1_h1: H1 H1, h1_tls: H1 H1Tls, h1_h2: H1 H2, h1_h2c: H1 H2c, h1_h3: H1 H3, h1_cgi: H1 Cgi,
            tls_h1: H1Tls H1, tls_tls: H1Tls H1Tls, tls_h2: H1Tls H2, tls_h2c: H1Tls H2c,
            tls_h3: H1Tls H3, tls_cgi: H1Tls Cgi,
            h2_h1: H2 H1, h2_tls: H2 H1Tls, h2_h2: H2 H2, h2_h2c: H2 H2c, h2_h3: H2 H3, h2_cgi: H2 Cgi,
            h2c_h1: H2c H1, h2c_tls: H2c H1Tls, h2c_h2: H2c H2, h2c_h2c: H2c H2c,
            h2c_h3: H2c H3, h2c_cgi: H2c Cgi,
            h3_h1: H3 H1, h3_tls: H3 H1Tls, h3_h2: H3 H2, h3_h2c: H3 H2c, h3_h3: H3 H3, h3_cgi: H3 Cgi
        ]);
    };
}
pub(crate) use all_pairs;

/// Makes a test of each story over each pair whose origin speaks HTTP.
macro_rules! pairs {
    ($($story:ident),+ $(,)?) => {
        crate::rig::over!($($story),+ => [
            h1_h1: H1 H1, h1_tls: H1 H1Tls, h1_h2: H1 H2, h1_h2c: H1 H2c, h1_h3: H1 H3,
            tls_h1: H1Tls H1, tls_tls: H1Tls H1Tls, tls_h2: H1Tls H2, tls_h2c: H1Tls H2c,
            tls_h3: H1Tls H3,
            h2_h1: H2 H1, h2_tls: H2 H1Tls, h2_h2: H2 H2, h2_h2c: H2 H2c, h2_h3: H2 H3,
            h2c_h1: H2c H1, h2c_tls: H2c H1Tls, h2c_h2: H2c H2, h2c_h2c: H2c H2c, h2c_h3: H2c H3,
            h3_h1: H3 H1, h3_tls: H3 H1Tls, h3_h2: H3 H2, h3_h2c: H3 H2c, h3_h3: H3 H3
        ]);
    };
}
pub(crate) use pairs;

/// Makes a test of each story over each pair that carries tunnels: origins of HTTP/3 are asked for none.
macro_rules! tunnel_pairs {
    ($($story:ident),+ $(,)?) => {
        crate::rig::over!($($story),+ => [
            h1_h1: H1 H1, h1_tls: H1 H1Tls, h1_h2: H1 H2, h1_h2c: H1 H2c,
            tls_h1: H1Tls H1, tls_tls: H1Tls H1Tls, tls_h2: H1Tls H2, tls_h2c: H1Tls H2c,
            h2_h1: H2 H1, h2_tls: H2 H1Tls, h2_h2: H2 H2, h2_h2c: H2 H2c,
            h2c_h1: H2c H1, h2c_tls: H2c H1Tls, h2c_h2: H2c H2, h2c_h2c: H2c H2c,
            h3_h1: H3 H1, h3_tls: H3 H1Tls, h3_h2: H3 H2, h3_h2c: H3 H2c
        ]);
    };
}
pub(crate) use tunnel_pairs;

/// Makes a test of each story over each pair whose front is HTTP/1.1: it is about bytes that only
/// such a client sends.
macro_rules! h1_pairs {
    ($($story:ident),+ $(,)?) => {
        crate::rig::over!($($story),+ => [
            h1_h1: H1 H1, h1_tls: H1 H1Tls, tls_h1: H1Tls H1, tls_tls: H1Tls H1Tls
        ]);
    };
}
pub(crate) use h1_pairs;

/// Makes a test of each story over each pair whose back is HTTP/1.1: it is about bytes that only such
/// an origin sends.
macro_rules! h1_back_pairs {
    ($($story:ident),+ $(,)?) => {
        crate::rig::over!($($story),+ => [
            h1_h1: H1 H1, h1_tls: H1 H1Tls, tls_h1: H1Tls H1, tls_tls: H1Tls H1Tls,
            h2_h1: H2 H1, h2_tls: H2 H1Tls, h2c_h1: H2c H1, h2c_tls: H2c H1Tls,
            h3_h1: H3 H1, h3_tls: H3 H1Tls
        ]);
    };
}
pub(crate) use h1_back_pairs;
