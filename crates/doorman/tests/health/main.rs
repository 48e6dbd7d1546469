//! Stories about ill servers: checks, failures of requests, outliers, and what a proxy does when no
//! server is well.

mod checks;
mod protocols;
mod requests;
mod rig;
