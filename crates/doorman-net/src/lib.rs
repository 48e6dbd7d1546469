//! Sockets, TLS, wires and pools, behind one seam.

pub mod tls;
