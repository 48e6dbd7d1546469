//! A rule set made of what an operator asks for: the engine's own rules, settings, a base, the
//! operator's rules and exclusions.
//!
//! All of it is SecLang that is written here and read by the one reader there is, so that nothing can
//! be asked for that an operator could not have written, and what was made can be shown. What people
//! wrote (names of arguments, paths, patterns) gets into that text only by `quote`, which leaves no
//! byte that could end its place.
//!
//! The order is: prologue, settings, exclusions with a condition (`ctl`, so ahead of all they change),
//! the set's own setup, plugins before, operator's rules before, the rules, plugins after, the
//! operator's rules, and exclusions without a condition (updates, so behind all they change).

mod wanted;

pub use wanted::{Base, Excluded, Exclusion, Level, Name, Path, Rules, Wanted};

/// Exclusions of one directive.
pub const EXCLUSIONS_MAX: usize = 4_096;

/// Where distributions and people put the Core Rule Set, the likeliest first: directories with a
/// `rules` directory in them. `crs-setup.conf` is in the directory itself, except that Debian has it in
/// `/etc/modsecurity/crs`.
#[must_use]
pub const fn crs_places() -> &'static [&'static str] {
    &[
        "/etc/doorman/crs",
        "/usr/share/modsecurity-crs",
        "/usr/share/coreruleset",
        "/usr/local/share/coreruleset",
        "/etc/coreruleset",
        "/opt/coreruleset",
        "/opt/owasp-crs",
        "/usr/share/owasp-crs",
        "/etc/modsecurity/coreruleset",
        "/etc/nginx/modsec/coreruleset",
        "/etc/httpd/modsecurity.d/owasp-crs",
        "/etc/apache2/modsecurity-crs",
    ]
}

/// Where the setup file of a set at this place may be besides the place itself.
#[must_use]
pub const fn crs_setup_places() -> &'static [&'static str] {
    &["/etc/modsecurity/crs"]
}
