//! Directives of `compress` and `decompress` among the options.

use super::Kind::{Any, Choice, Number, Size};
use super::Within::{Compress, Decompress};
use super::options::OPTIONS_WITHIN;
use super::{Directive, Kind, many, one, optional, some};

const CODING: Kind = Choice(&["zstd", "br", "gzip"], &[]);

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "compress",
        OPTIONS_WITHIN,
        &[many("zstd|br|gzip|off", Choice(&["zstd", "br", "gzip", "off"], &[]))],
        "Code answers for clients that can read it (RFC 9110 section 12.5.3), by what they like best; of what they like equally the first here is taken. Without a name: zstd br gzip. With `cache` an answer is coded once. A nearer line replaces one of the site or a policy as a whole; off ends it.",
        "compress zstd br gzip",
    )
    .block(Compress)
    .default("off"),
    Directive::new("level", &[Compress], &[one("zstd|br|gzip", CODING), one("N", Number(0, 19))], "How hard a coding tries with answers as they pass: zstd 1 to 12, br 0 to 7, gzip 1 to 9.", "level br 5")
        .often()
        .default("zstd 3, br 4, gzip 5"),
    Directive::new("kept-level", &[Compress], &[one("zstd|br|gzip", CODING), one("N", Number(0, 19))], "How hard it tries with what `cache` keeps, in the background, once it is asked for again. The same as `level`: it is not coded a second time.", "kept-level br 11")
        .often()
        .default("zstd 19, br 11, gzip 9"),
    Directive::new("min", &[Compress], &[one("SIZE", Size)], "Bytes of the smallest body that is coded, up to 1GiB.", "min 1KiB")
        .default("512B"),
    Directive::new("types", &[Compress], &[some("TYPE", Any("a media type such as text/html, or text/*, */*+json, */*"))], "Media types that are coded, instead of those of the default.", "types text/* application/json */*+json")
        .default("`text/* */*+json */*+xml application/json application/javascript application/x-javascript application/xml application/x-ndjson application/wasm application/vnd.ms-fontobject application/x-font-ttf font/otf font/ttf image/bmp image/vnd.microsoft.icon image/x-icon`"),
    Directive::new("breach", &[Compress], &[one("careful|off|pad", Choice(&["careful", "off", "pad"], &[])), optional("SIZE", Size)], "Against secrets that the length of an answer gives away: answers that set cookies and answers to requests with Authorization are not coded, or nothing is done, or each coded answer gets up to so many bytes of chance, 1B to 4KiB.", "breach pad 64B")
        .default("careful"),
    Directive::new("coded", &[Compress], &[one("pass|recode", Choice(&["pass", "recode"], &[]))], "Bodies that the server has coded: they are passed on, or decoded and coded anew where the client likes another coding better. Then `ratio` and `max` of `decompress` bound them.", "coded pass")
        .default("pass"),
    Directive::new(
        "decompress",
        OPTIONS_WITHIN,
        &[optional("off", Choice(&["off"], &[]))],
        "Decode answers for clients that cannot read the coding of the server. A nearer line replaces one of the site or a policy as a whole; off ends it.",
        "decompress",
    )
    .block(Decompress)
    .default("off"),
    Directive::new("ratio", &[Decompress], &[one("N", Number(2, 100_000))], "How many times longer than what came a body may become. One that becomes longer is cut off.", "ratio 100")
        .default("100"),
    Directive::new("max", &[Decompress], &[one("SIZE", Size)], "Bytes that a body may become, 64KiB to 1TiB. One that becomes longer is cut off.", "max 64MiB")
        .default("64MiB"),
];
