//! Directives for what answers get on their way to browsers, among the options.

use super::Kind::{Any, Choice};
use super::options::OPTIONS_WITHIN;
use super::{Argument, Directive, one, optional};

const SWITCH: &[Argument] = &[optional("on|off", Choice(&["on", "off"], &[]))];

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new("early-hints", OPTIONS_WITHIN, SWITCH, "Send browsers that come over HTTP/2 or HTTP/3 for a page a 103 while its server still works on it (RFC 8297), with what earlier answers had in Link: preload, modulepreload and preconnect. What may be one user's is kept to itself until two clients were told the same.", "early-hints")
        .default("off"),
    Directive::new("server-timing", OPTIONS_WITHIN, SWITCH, "Tell clients in Server-Timing what the cache did, how long the server took and how long doorman did.", "server-timing")
        .default("off"),
    Directive::new("immutable", OPTIONS_WITHIN, &[one("TIME|off", Any("a time in whole seconds, up to 3650d, or off"))], "Tell clients by Cache-Control, whatever the server says, that answers with 200 do not change for so long, so that they do not even ask when a page is loaded anew (RFC 8246). Not said of what is private, no-store or sets a cookie.", "immutable 365d")
        .default("off"),
    Directive::new("sniff-guard", OPTIONS_WITHIN, SWITCH, "Keep browsers from guessing what an answer is: X-Content-Type-Options: nosniff, and Content-Type: application/octet-stream where there is content without a type.", "sniff-guard")
        .default("off"),
];
