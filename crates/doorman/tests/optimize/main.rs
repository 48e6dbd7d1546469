//! Smaller answers in a real browser: a page is drawn with and without what doorman does to it, and the
//! pictures are compared.
//!
//! One decision shaped it: the page holds whatever a careless rewriter would break, and nothing is
//! binary. Texts stand in the source and images are painted by it, so everybody sees what is compared.

#![expect(
    clippy::disallowed_methods,
    reason = "stories stand outside the proxy: they have real sockets and real time"
)]

mod browser;
mod page;
mod painting;
mod picture;
mod rig;
