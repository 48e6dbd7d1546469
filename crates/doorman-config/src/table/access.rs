//! Directives that say who may come.

use super::Kind::{Any, Choice, File, Number, Range, Status};
use super::Within::{Allow, Deny, Geo, Global};
use super::options::OPTIONS_WITHIN;
use super::{Directive, many, one, some};

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "geo",
        &[Global],
        &[],
        "Databases in MaxMind's format that say where addresses are, for `allow` and `deny`. A file that changes is read again.",
        "geo country /var/lib/GeoIP/GeoLite2-Country.mmdb asn /var/lib/GeoIP/GeoLite2-ASN.mmdb",
    )
    .block(Geo)
    .default("addresses have no country and no network"),
    Directive::new("country", &[Geo], &[one("FILE", File)], "The database of countries; one of cities has them, too.", "country /var/lib/GeoIP/GeoLite2-Country.mmdb"),
    Directive::new("asn", &[Geo], &[one("FILE", File)], "The database of autonomous systems.", "asn /var/lib/GeoIP/GeoLite2-ASN.mmdb"),
    Directive::new(
        "allow",
        OPTIONS_WITHIN,
        &[many("RANGE", Range)],
        "Only these clients; everybody else is refused. Lines of one block add up, and `deny` goes before them. The lists of a policy, of the site and of the route each stand for themselves: a client must pass all of them.",
        "allow 10.0.0.0/8 192.168.0.0/16",
    )
    .block(Allow)
    .often()
    .default("everybody"),
    Directive::new(
        "deny",
        OPTIONS_WITHIN,
        &[many("RANGE", Range)],
        "Not these clients, whatever `allow` says. Lines of one block add up; those of a policy, of the site and of the route all hold.",
        "deny 10.6.6.0/24 file blocked.txt status 404",
    )
    .block(Deny)
    .often()
    .default("nobody"),
    Directive::new("file", &[Allow, Deny], &[some("FILE", File)], "Files with an address or a range on each line; `#` begins a comment. A file that changes is read again.", "file office.txt")
        .often(),
    Directive::new("country", &[Allow, Deny], &[some("CODE", Any("two letters of ISO 3166-1, in upper case: DE"))], "Clients of these countries, by `geo country`. An address that the database does not have is of no country.", "country DE AT CH")
        .often(),
    Directive::new("asn", &[Allow, Deny], &[some("N", Number(1, u32::MAX as u64))], "Clients of these autonomous systems, by `geo asn`.", "asn 64500 64501")
        .often(),
    Directive::new("list", &[Deny], &[some("bad-bots", Choice(&["bad-bots"], &[]))], "A list that is built in: bad-bots is what names itself in User-Agent as a tool for scraping or for attacks.", "list bad-bots"),
    Directive::new("status", &[Allow, Deny], &[one("STATUS", Status)], "What those get who are refused, 400 to 499.", "status 404")
        .default("403"),
];
