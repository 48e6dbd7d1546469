//! Directives of `waf` among the options.

use super::Kind::{Any, Choice, File, Number, Size};
use super::Within::{Waf, WafBody, WafExclude};
use super::options::OPTIONS_WITHIN;
use super::{Directive, Kind, many, one, optional, some};

const SWITCH: Kind = Choice(&["on", "off"], &[]);

/// What an exclusion is about: a name, or an expression for names.
const NAMES: Kind = Any("a name, or ~ and a regex for names; * for all");

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "waf",
        OPTIONS_WITHIN,
        &[optional("crs|starter|DIR|off", Any("crs for the OWASP Core Rule Set of this machine, starter for the rules that are built in, a folder of SecLang files, or off"))],
        "Inspect requests for attacks, and responses for leaks, by rules. A nearer line replaces one of the site or a policy as a whole; off ends it. Lines that begin with `exclude` add to whatever holds.",
        "waf crs level 1 mode block",
    )
    .block(Waf)
    .often()
    .default("off"),
    Directive::new("level", &[Waf], &[one("N", Number(1, 4))], "Paranoia of the rules that count: higher levels find more, and take more for attacks that is none.", "level 2")
        .default("1"),
    Directive::new("detect-level", &[Waf], &[one("N", Number(1, 4))], "Paranoia of the rules that are run and told of; those above `level` refuse nothing.", "detect-level 3")
        .default("as `level`"),
    Directive::new("mode", &[Waf], &[one("block|detect", Choice(&["block", "detect"], &[]))], "Whether what rules find is refused, or only told of.", "mode detect")
        .default("block"),
    Directive::new("threshold", &[Waf], &[one("N", Number(1, 1_000_000))], "Score at which a request is refused; a critical match counts 5.", "threshold 10")
        .default("that of the rules, 5"),
    Directive::new("outbound-threshold", &[Waf], &[one("N", Number(1, 1_000_000))], "Score at which a response is refused.", "outbound-threshold 8")
        .default("that of the rules, 4"),
    Directive::new("early-blocking", &[Waf], &[one("on|off", SWITCH)], "Whether a request is refused as soon as its head has the score, without its body.", "early-blocking on")
        .default("off"),
    Directive::new("exclude", &[Waf], &[many("ID|RANGE", Any("numbers of rules, such as 942100 or 920000-920999"))], "Rules that do not count here: all that they look at, or one argument, field or cookie; everywhere, or on some paths and for some methods.", "exclude 942100 arg q path /search/*")
        .block(WafExclude)
        .often(),
    Directive::new("tag", &[WafExclude], &[one("TAG", Any("a tag of rules, such as attack-sqli"))], "The rules with this tag, instead of numbers.", "tag attack-xss"),
    Directive::new("arg", &[WafExclude], &[some("NAME|~ REGEX", NAMES)], "They do not look at this argument, of the query or of a form.", "arg comment"),
    Directive::new("header", &[WafExclude], &[some("NAME|~ REGEX", NAMES)], "They do not look at this field of requests.", "header Referer"),
    Directive::new("cookie", &[WafExclude], &[some("NAME|~ REGEX", NAMES)], "They do not look at this cookie.", "cookie ~ ^_ga"),
    Directive::new("path", &[WafExclude], &[one("PATH", Any("/exact or /prefix/*"))], "Only for requests of this path, once it is decoded and its dots are resolved.", "path /blog/*"),
    Directive::new("method", &[WafExclude], &[some("METHOD", Any("a method, such as POST"))], "Only for requests with one of these methods.", "method POST PUT"),
    Directive::new("rules", &[Waf], &[some("FILE", File)], "Files of rules of your own in SecLang, which run behind the others.", "rules own.conf")
        .often(),
    Directive::new("body", &[Waf], &[], "How much of a request's body is held back and looked at.", "body max 1MiB over-limit partial")
        .block(WafBody),
    Directive::new("max", &[WafBody], &[one("SIZE", Size)], "Bytes that are held back and looked at, 1KiB to 64MiB.", "max 1MiB")
        .default("1MiB"),
    Directive::new("over-limit", &[WafBody], &[one("reject|partial", Choice(&["reject", "partial"], &[]))], "What becomes of longer ones: 413, or the first part is looked at and the rest passes unseen.", "over-limit partial")
        .default("reject"),
    Directive::new("response", &[Waf], &[one("on|off", SWITCH)], "Whether bodies of responses are held back and looked at, too, as far as they are text. Servers are then asked for answers without codings.", "response on")
        .default("off"),
    Directive::new("on-error", &[Waf], &[one("open|closed", Choice(&["open", "closed"], &[]))], "What becomes of a request that could not be inspected to its end: it passes, or gets 403.", "on-error open")
        .default("closed; with `mode detect` open"),
    Directive::new("methods", &[Waf], &[some("METHOD", Any("methods in upper case"))], "Methods that the rules allow, instead of their own list.", "methods GET HEAD POST")
        .default("those of the rules"),
];
