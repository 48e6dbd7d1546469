//! Files of servers. Two forms, told apart by the first character:
//!
//! ```text
//! # one a line, as behind `server` in the configuration
//! 10.0.0.11:8080
//! https://10.0.0.12:8443 weight 2 tier 1 name spare-1
//! ```
//!
//! ```text
//! { "servers": [ "10.0.0.11:8080", { "server": "10.0.0.12:8443", "weight": 2, "tier": 1, "name": "spare-1" } ] }
//! ```
//!
//! or the list alone. A file with a single fault is refused as a whole, so that a half-written one takes no server
//! away; and one of lines without any line is a fault too, since that is what a file looks like before it is written.
//! Whoever means "no servers" writes `[]`.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::list::{Endpoint, Place, Secure};

/// Bytes of a file: ten thousand servers with long names.
pub(super) const FILE_BYTES_MAX: u64 = 4 << 20;
/// Largest weight and tier, as in the configuration.
const NUMBER_MAX: u32 = 65_535;
/// Bytes of a name, which becomes a label of metrics.
const NAME_BYTES_MAX: usize = 253;

/// The servers of a file.
///
/// # Errors
/// What is wrong with it, and where.
pub fn parse(text: &str) -> Result<Vec<Endpoint>, String> {
    match text.trim_start().chars().next() {
        Some('[' | '{') => json(text),
        _ => lines(text),
    }
}

fn lines(text: &str) -> Result<Vec<Endpoint>, String> {
    let mut found = Vec::new();
    for (at, line) in (1_usize..).zip(text.lines()) {
        let words = line.split('#').next().unwrap_or_default();
        let mut words = words.split_whitespace();
        let Some(address) = words.next() else { continue };
        let mut entry = Entry { server: address.to_owned(), ..Entry::default() };
        while let Some(word) = words.next() {
            let value =
                words.next().ok_or_else(|| format!("line {at}: `{word}` misses its value"))?;
            let number = || value.parse().map_err(|_| format!("line {at}: `{value}` is no number"));
            match word {
                "weight" => entry.weight = Some(number()?),
                "tier" => entry.tier = Some(number()?),
                "name" => entry.name = Some(value.to_owned()),
                _ => return Err(format!("line {at}: `{word}` is none of weight, tier and name")),
            }
        }
        found.push(entry.endpoint().map_err(|why| format!("line {at}: {why}"))?);
    }
    if found.is_empty() {
        return Err("no server is in it; `[]` means that there are none".to_owned());
    }
    Ok(found)
}

/// A server as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    server: String,
    weight: Option<u32>,
    tier: Option<u32>,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Address(String),
    Entry(Entry),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    servers: Vec<Item>,
}

fn json(text: &str) -> Result<Vec<Endpoint>, String> {
    let items = if text.trim_start().starts_with('[') {
        serde_json::from_str::<Vec<Item>>(text)
    } else {
        serde_json::from_str::<Listed>(text).map(|listed| listed.servers)
    };
    let items = items.map_err(|error| error.to_string())?;
    let endpoint = |(at, item): (usize, Item)| {
        let entry = match item {
            Item::Address(server) => Entry { server, ..Entry::default() },
            Item::Entry(entry) => entry,
        };
        entry.endpoint().map_err(|why| format!("server {at}: {why}"))
    };
    (1..).zip(items).map(endpoint).collect()
}

impl Entry {
    fn endpoint(self) -> Result<Endpoint, String> {
        let (place, secure) = address(&self.server)
            .ok_or_else(|| format!("`{}` is not [https://]HOST:PORT or unix:PATH", self.server))?;
        let weight = self.weight.unwrap_or(1);
        let tier = self.tier.unwrap_or(0);
        if weight == 0 || weight > NUMBER_MAX {
            return Err(format!("a weight is within 1 to {NUMBER_MAX}"));
        }
        if tier > NUMBER_MAX {
            return Err(format!("a tier is within 0 to {NUMBER_MAX}"));
        }
        let is_name = |name: &str| {
            (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic())
        };
        if let Some(name) = self.name.as_deref().filter(|name| !is_name(name)) {
            return Err(format!("`{}` is no name", name.escape_debug()));
        }
        Ok(Endpoint { tier, place, secure, weight, known_as: None, name: self.name })
    }
}

fn address(text: &str) -> Option<(Place, Secure)> {
    if let Some(path) = text.strip_prefix("unix:") {
        let is_path = path.starts_with('/') && !path.chars().any(char::is_control);
        return is_path.then(|| (Place::Unix(PathBuf::from(path)), Secure::No));
    }
    let (secure, rest) = match text.split_once("://") {
        Some(("https", rest)) => (Secure::Yes, rest),
        Some(("http", rest)) => (Secure::No, rest),
        Some(_) => return None,
        None => (Secure::No, text),
    };
    let (host, port) = rest.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match bare.unwrap_or(host).parse::<IpAddr>() {
        // A port behind a bare IPv6 address cannot be told from its last group.
        Ok(ip) => (ip.is_ipv4() || bare.is_some()).then_some((Place::Ip(ip, port), secure)),
        Err(_) => is_host(host).then(|| (Place::Name(host.to_ascii_lowercase(), port), secure)),
    }
}

/// A name in DNS (RFC 1035 section 2.3.4), with the underscore that container names have.
fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253
        && name.split('.').all(label)
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::list::order;
    use super::*;

    fn shown(text: &str) -> Result<Vec<String>, String> {
        let show = |one: Endpoint| format!("{} w{} t{}", one.title(), one.weight, one.tier);
        parse(text).map(|list| list.into_iter().map(show).collect())
    }

    #[test]
    fn files_that_are_right() {
        let check = |text: &str, expect: &[&str]| {
            assert_eq!(shown(text), Ok(expect.iter().map(ToString::to_string).collect()), "{text}");
        };
        check("10.0.0.1:80", &["10.0.0.1:80 w1 t0"]);
        check(
            "# servers\n\n10.0.0.1:80 weight 2\r\nhttps://[::1]:443 tier 3 # spare\n",
            &["10.0.0.1:80 w2 t0", "https://[::1]:443 w1 t3"],
        );
        check("App_1.Internal:8080 name one", &["one w1 t0"]);
        check("unix:/run/app.sock", &["unix:/run/app.sock w1 t0"]);
        check("[]", &[]);
        check("{\"servers\":[]}", &[]);
        check(
            " [\"10.0.0.1:80\", {\"server\":\"https://a.b:1\",\"weight\":9,\"tier\":1,\"name\":\"x\"}]",
            &["10.0.0.1:80 w1 t0", "x w9 t1"],
        );
        check("{\"servers\":[\"10.0.0.1:80\"]}", &["10.0.0.1:80 w1 t0"]);
    }

    #[test]
    fn files_that_are_wrong() {
        let check = |text: &str, expect: &str| {
            let why = shown(text).unwrap_err();
            assert!(why.contains(expect), "{text:?}: {why}");
        };
        check("", "no server is in it");
        check("\n# nothing\n", "no server is in it");
        check("10.0.0.1:80\n10.0.0.2", "line 2: `10.0.0.2`");
        check("10.0.0.1:80 weight", "misses its value");
        check("10.0.0.1:80 weight x", "no number");
        check("10.0.0.1:80 weight 0", "1 to 65535");
        check("10.0.0.1:80 weight 70000", "1 to 65535");
        check("10.0.0.1:80 color 1", "`color`");
        check("10.0.0.1:0", "10.0.0.1:0");
        check("::1:80", "::1:80");
        check("ftp://10.0.0.1:80", "ftp");
        check("a..b:80", "a..b");
        check("1.2.3:80", "1.2.3");
        check("unix:relative", "unix:relative");
        check("[\"10.0.0.1:80\"", "EOF");
        check("[7]", "did not match");
        check("[{\"server\":\"10.0.0.1:80\",\"wieght\":2}]", "did not match");
        check("{\"server\":[]}", "unknown field");
        check("[{\"server\":\"10.0.0.1:80\",\"name\":\"a\\nb\"}]", "server 1: `a\\nb` is no name");
    }

    /// Words of which files are made, so that what is invented is often nearly right.
    const WORDS: [&str; 16] = [
        "10.0.0.1:80",
        "[::1]:443",
        "https://",
        "unix:/a",
        "weight",
        "tier",
        "name",
        " 7",
        "#",
        "\n",
        "[",
        "]",
        "{",
        "\"server\":",
        "\"",
        ",",
    ];

    proptest! {
        #[test]
        fn no_text_stops_it_and_what_is_taken_is_within_bounds(
            text in prop_oneof![
                any::<String>(),
                prop::collection::vec(prop::sample::select(&WORDS), 0..12).prop_map(|words| words.join(" ")),
                prop::collection::vec(prop::sample::select(&WORDS), 0..12).prop_map(|words| words.concat()),
            ],
        ) {
            if let Ok(list) = parse(&text) {
                for server in &list {
                    prop_assert!((1..=NUMBER_MAX).contains(&server.weight) && server.tier <= NUMBER_MAX);
                    prop_assert!(!server.title().chars().any(char::is_control));
                }
                let (ordered, found) = order(list.clone(), 8);
                prop_assert!(ordered.len() <= 8 && ordered.len() <= found && found <= list.len());
                let turned = list.into_iter().rev().collect();
                prop_assert_eq!(order(turned, 8).1, found);
            }
        }
    }
}
