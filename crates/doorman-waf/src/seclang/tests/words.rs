//! Every variable, operator, transformation, action, option of `ctl`, and directive.

use super::super::names;
use super::{
    Shelf, effects, link, rule, set, show, show_target, show_targets, show_template, source,
};
use crate::rule::{
    Collection, Control, Disruption, Effect, EngineMode, IdRange, Operator, OverLimit, Pattern,
    Phase, Processor, Scope, SetTo, Severity, Skip, TagMatch, Template, Transformation, Variable,
};
use crate::seclang::load;

#[track_caller]
fn check_targets(text: &str, expected: &str) {
    let link = link(format!("SecRule {text} \"@rx x\" \"id:1\""));
    assert_eq!(show_targets(&link), expected, "{text}");
}

#[test]
fn targets() {
    check_targets("ARGS", "Args");
    check_targets("args|Request_Headers:Host", "Args RequestHeaders:host");
    check_targets("\"ARGS | !ARGS:a , &TX:b\"", "Args !Args:a &Tx:b");
    check_targets("&ARGS", "&Args");
    check_targets("ARGS|!ARGS:'a|b'", "Args !Args:a|b");
    check_targets(r"ARGS|!ARGS:'it\'s'", "Args !Args:it\\'s");
    check_targets("ARGS:a[b][0]|ARGS:a.b", "Args:a[b][0] Args:a.b");
    check_targets("ARGS|!ARGS:/^a|b$/|FILES", "Args !Args~(?i)^a|b$ Files");
    check_targets(r"TX:/a\/b/", r"Tx~(?i)a\\/b");
    check_targets("\"TX:'/a b/'\"", "Tx~(?i)a b");
    check_targets("XML:/*|XML://@*", "XmlTexts XmlAttributes");
    check_targets("&XML:/*", "&XmlTexts");
    check_targets("REQUEST_HEADERS:X_Filename|REQUEST_HEADERS:X.Filename|REQUEST_HEADERS:X-F", {
        "RequestHeaders:x_filename RequestHeaders:x.filename RequestHeaders:x-f"
    });
}

#[test]
fn every_variable_has_a_name_and_only_those_of_many_have_members() {
    for known in names::VARIABLES.iter().filter(|known| known.kind != names::Kind::Xml) {
        let link = link(format!("SecRule {} x id:1", known.name.to_lowercase()));
        assert_eq!(link.targets[0].variable, known.variable, "{}", known.name);
        let text = format!("SecRule {}:member x id:1", known.name);
        let is_read = super::read(text).is_ok();
        assert_eq!(is_read, known.kind == names::Kind::Many, "{}", known.name);
    }
}

fn operator(text: &str) -> (bool, Operator) {
    let link = link(format!("SecRule ARGS \"{text}\" id:1"));
    (link.negated, link.operator)
}

fn show_operator(operator: &Operator) -> String {
    match operator {
        Operator::Rx(Pattern::Fixed(regex)) => format!("Rx {}", regex.pattern().escape_ascii()),
        Operator::Rx(Pattern::Expanded(template)) => format!("Rx {}", show_template(template)),
        Operator::Pm(phrases) => {
            let phrases =
                phrases.0.phrases().iter().map(|phrase| phrase.escape_ascii().to_string());
            format!("Pm {}", phrases.collect::<Vec<_>>().join(","))
        }
        Operator::Streq(t) => format!("Streq {}", show_template(t)),
        Operator::Contains(t) => format!("Contains {}", show_template(t)),
        Operator::ContainsWord(t) => format!("ContainsWord {}", show_template(t)),
        Operator::BeginsWith(t) => format!("BeginsWith {}", show_template(t)),
        Operator::EndsWith(t) => format!("EndsWith {}", show_template(t)),
        Operator::Within(t) => format!("Within {}", show_template(t)),
        Operator::StrMatch(t) => format!("StrMatch {}", show_template(t)),
        Operator::Eq(t) => format!("Eq {}", show_template(t)),
        Operator::Ge(t) => format!("Ge {}", show_template(t)),
        Operator::Gt(t) => format!("Gt {}", show_template(t)),
        Operator::Le(t) => format!("Le {}", show_template(t)),
        Operator::Lt(t) => format!("Lt {}", show_template(t)),
        Operator::ValidateByteRange(set) => {
            let bytes = (0..=255_u8).filter(|byte| set.contains(*byte));
            format!(
                "ValidateByteRange {}",
                bytes.map(|b| b.to_string()).collect::<Vec<_>>().join(",")
            )
        }
        other => format!("{other:?}"),
    }
}

#[track_caller]
fn check_operator(text: &str, expected: &str) {
    let (negated, operator) = operator(text);
    let shown = format!("{}{}", if negated { "!" } else { "" }, show_operator(&operator));
    assert_eq!(shown, expected, "{text}");
}

#[test]
fn operators() {
    check_operator("a b", "Rx a b");
    check_operator("!a", "!Rx a");
    check_operator("@rx  a b ", "Rx a b ");
    check_operator("@RX a", "Rx a");
    check_operator("! @rx a", "!Rx a");
    check_operator("@rx ^%{tx.Allowed}$", "Rx ^<Tx.allowed>$");
    check_operator("@rx %{2}", "Rx %{2}");
    check_operator("@rx", "Rx ");
    check_operator("@pm a  b\tc", "Pm a,b,c");
    check_operator("!@pm ( )", "!Pm (,)");
    check_operator("@pm a|20 41|b c", "Pm a Ab,c");
    check_operator("@pm || a", "Pm ||,a");
    check_operator("@pm a|b c", "Pm a|b,c");
    check_operator("@streq %{TX.2}", "Streq <Tx.2>");
    check_operator("@streq", "Streq ");
    check_operator("@contains a b", "Contains a b");
    check_operator("@containsWord a", "ContainsWord a");
    check_operator("@beginsWith /a", "BeginsWith /a");
    check_operator("!@endsWith .pdf", "!EndsWith .pdf");
    check_operator("@within |%{tx.a}|", "Within |<Tx.a>|");
    check_operator("@strmatch a", "StrMatch a");
    check_operator("!@eq 0", "!Eq 0");
    check_operator("@ge %{tx.a}", "Ge <Tx.a>");
    check_operator("@gt 1", "Gt 1");
    check_operator("@le 1", "Le 1");
    check_operator("!@lt 1", "!Lt 1");
    check_operator("@validateByteRange 1, 3-5,255", "ValidateByteRange 1,3,4,5,255");
    check_operator("@validateUrlEncoding", "ValidateUrlEncoding");
    check_operator("@validateUtf8Encoding", "ValidateUtf8Encoding");
    check_operator("@detectSQLi", "DetectSqli");
    check_operator("@detectXSS", "DetectXss");
    check_operator("@unconditionalMatch", "UnconditionalMatch");
    check_operator("@noMatch", "NoMatch");
    check_operator("@geoLookup", "GeoLookup");
    check_operator("@rbl list.example", "Rbl");
    let (_, Operator::IpMatch(set)) = operator("@ipMatch 127.0.0.1,::1, 10.0.0.0/8") else {
        panic!()
    };
    assert!(set.contains("10.1.2.3".parse().unwrap()) && set.contains("::1".parse().unwrap()));
}

#[test]
fn operators_read_files_relative_to_their_own() {
    let text = "SecRule ARGS \"@pmFromFile a.data b.data\" id:1\n\
                SecRule ARGS \"!@pmf a.data\" id:2\n\
                SecRule REMOTE_ADDR \"@ipMatchFromFile ips.data\" id:3\n\
                SecRule REMOTE_ADDR \"@ipMatchF ips.data\" id:4\n";
    let shelf = Shelf::of(&[
        ("a.data", "# a comment\n\none\ntwo words\r\n  trimmed \n"),
        ("b.data", "three"),
        ("ips.data", "# home\n10.0.0.0/8\n"),
    ]);
    let set = load(&[source(text)], &shelf).expect("it is right");
    let shown: Vec<_> =
        super::rules(&set).iter().map(|rule| show_operator(&rule.links[0].operator)).collect();
    assert_eq!(shown[0], "Pm one,two words,trimmed,three");
    assert_eq!(shown[1], "Pm one,two words,trimmed");
    assert!(shown[2].starts_with("IpMatch") && shown[3].starts_with("IpMatch"), "{shown:?}");
}

#[test]
fn equal_patterns_and_phrases_are_shared() {
    let set = set("SecRule ARGS|!ARGS:/a/ \"@rx a\" id:1\nSecRule ARGS|!ARGS:/a/ \"@rx a\" id:2\n\
                   SecRule ARGS \"@pm a b\" id:3\nSecRule ARGS \"@pm a  b\" id:4\n");
    let rules = super::rules(&set);
    let operator = |index: usize| &rules[index].links[0].operator;
    let (Operator::Rx(Pattern::Fixed(a)), Operator::Rx(Pattern::Fixed(b))) =
        (operator(0), operator(1))
    else {
        panic!()
    };
    assert!(std::sync::Arc::ptr_eq(a, b));
    let (Operator::Pm(a), Operator::Pm(b)) = (operator(2), operator(3)) else { panic!() };
    assert!(std::sync::Arc::ptr_eq(&a.0, &b.0));
}

#[test]
fn transformations() {
    use Transformation as T;
    let all = [
        ("base64Decode", T::Base64Decode),
        ("base64DecodeExt", T::Base64DecodeExt),
        ("base64Encode", T::Base64Encode),
        ("cmdLine", T::CmdLine),
        ("compressWhitespace", T::CompressWhitespace),
        ("cssDecode", T::CssDecode),
        ("escapeSeqDecode", T::EscapeSeqDecode),
        ("hexDecode", T::HexDecode),
        ("hexEncode", T::HexEncode),
        ("htmlEntityDecode", T::HtmlEntityDecode),
        ("jsDecode", T::JsDecode),
        ("length", T::Length),
        ("lowercase", T::Lowercase),
        ("md5", T::Md5),
        ("normalisePath", T::NormalizePath),
        ("normalizePath", T::NormalizePath),
        ("normalisePathWin", T::NormalizePathWin),
        ("normalizePathWin", T::NormalizePathWin),
        ("removeComments", T::RemoveComments),
        ("removeCommentsChar", T::RemoveCommentsChar),
        ("removeNulls", T::RemoveNulls),
        ("removeWhitespace", T::RemoveWhitespace),
        ("replaceComments", T::ReplaceComments),
        ("replaceNulls", T::ReplaceNulls),
        ("sha1", T::Sha1),
        ("sqlHexDecode", T::SqlHexDecode),
        ("trim", T::Trim),
        ("trimLeft", T::TrimLeft),
        ("trimRight", T::TrimRight),
        ("uppercase", T::Uppercase),
        ("urlDecode", T::UrlDecode),
        ("urlDecodeUni", T::UrlDecodeUni),
        ("urlEncode", T::UrlEncode),
        ("utf8toUnicode", T::Utf8ToUnicode),
    ];
    for (name, expected) in all {
        for name in [name.to_owned(), name.to_uppercase()] {
            let link = link(format!("SecRule ARGS x \"id:1,t:none,t:{name}\""));
            assert_eq!(link.transformations, [expected], "{name}");
        }
    }
}

#[test]
fn what_a_rule_says() {
    let rule = rule(
        "SecRule ARGS x \"id:'7', phase:'response', deny, status:500, log, noauditlog, msg:'a %{TX.0}',\
         logdata:%{MATCHED_VAR_NAME}=%{matched_var}, severity:'CRITICAL', ver:'v/1', rev:2, maturity:'9',\
         accuracy:8, tag:'a', tag:b/c, multiMatch, capture, skip:3, xmlns:a=b\"",
    );
    assert_eq!((rule.id, rule.phase, rule.status), (7, Phase::ResponseBody, 500));
    assert_eq!(rule.disruption, Disruption::Deny);
    assert_eq!((rule.log, rule.audit), (true, false));
    assert_eq!(rule.msg.as_ref().map(show_template).as_deref(), Some("a <Tx.0>"));
    assert_eq!(
        rule.logdata.as_ref().map(show_template).as_deref(),
        Some("<MatchedVarName>=<MatchedVar>")
    );
    assert_eq!(rule.severity, Some(Severity::Critical));
    assert_eq!((rule.ver.as_deref(), rule.rev.as_deref()), (Some("v/1"), Some("2")));
    assert_eq!((rule.maturity, rule.accuracy), (Some(9), Some(8)));
    assert_eq!(rule.tags.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["a", "b/c"]);
    assert_eq!(rule.skip, Some(Skip::Rules(3)));
    assert!(rule.links[0].multi_match && rule.links[0].capture);
}

#[test]
fn disruptions() {
    let disruption = |text: &str| rule(format!("SecAction \"id:1,{text}\"")).disruption;
    assert_eq!(disruption("pass"), Disruption::Pass);
    assert_eq!(disruption("deny"), Disruption::Deny);
    assert_eq!(disruption("drop"), Disruption::Drop);
    assert_eq!(disruption("block"), Disruption::Pass);
    assert_eq!(disruption("nolog"), Disruption::Pass);
    assert_eq!(disruption("allow"), Disruption::Allow(Scope::Transaction));
    assert_eq!(disruption("allow:phase"), Disruption::Allow(Scope::Phase));
    assert_eq!(disruption("allow:REQUEST"), Disruption::Allow(Scope::Request));
    let to = Template::text(b"https://a.example/?b");
    assert_eq!(disruption("redirect:'https://a.example/?b'"), Disruption::Redirect(to));
    let status = |text: &str| rule(format!("SecAction \"id:1,{text}\"")).status;
    assert_eq!(status("deny"), 403);
    assert_eq!(status("redirect:/a"), 302);
    assert_eq!(status("redirect:/a,status:307"), 307);
    assert_eq!(status("redirect:/a,status:403"), 302);
}

#[test]
fn phases_and_severities() {
    let phase = |text: &str| rule(format!("SecAction \"id:1,phase:{text}\"")).phase.number();
    let words = ["1", "2", "3", "4", "5", "request", "response", "Logging"].map(phase);
    assert_eq!(words, [1, 2, 3, 4, 5, 2, 4, 5]);
    assert_eq!(rule("SecAction id:1").phase.number(), 2);
    let severity = |text: &str| {
        rule(format!("SecAction \"id:1,severity:{text}\"")).severity.map(Severity::number)
    };
    assert_eq!(
        ["0", "7", "EMERGENCY", "warning"].map(severity),
        [Some(0), Some(7), Some(0), Some(4)]
    );
}

fn show_effect(effect: &Effect) -> String {
    match effect {
        Effect::Set { collection, name, to } => {
            let to = match to {
                SetTo::Value(t) => format!("= {}", show_template(t)),
                SetTo::Add(t) => format!("+ {}", show_template(t)),
                SetTo::Subtract(t) => format!("- {}", show_template(t)),
                SetTo::Unset => "away".to_owned(),
            };
            format!("{collection:?} {} {to}", show_template(name))
        }
        Effect::Expire { collection, name, after } => {
            format!("{collection:?} {} after {}", show_template(name), show_template(after))
        }
        Effect::Open { collection, key } => format!("open {collection:?} {}", show_template(key)),
        Effect::Environment { name, value } => {
            format!("env {} {}", show_template(name), show_template(value))
        }
        Effect::Redact(target) => format!("redact {}", show_target(target)),
        Effect::RedactMatched => "redact matched".to_owned(),
        Effect::Control(control) => show_control(control),
    }
}

fn show_control(control: &Control) -> String {
    let ids = |ids: &[IdRange]| {
        let ids = ids.iter().map(|ids| format!("{}-{}", ids.first, ids.last));
        ids.collect::<Vec<_>>().join(" ")
    };
    let tag = |tag: &TagMatch| match tag {
        TagMatch::Exact(text) => text.to_string(),
        TagMatch::Regex(regex) => format!("~{}", regex.pattern().escape_ascii()),
    };
    match control {
        Control::RemoveById(ranges) => format!("remove {}", ids(ranges)),
        Control::RemoveByTag(text) => format!("remove tag {}", tag(text)),
        Control::RemoveByMsg(text) => format!("remove msg {}", tag(text)),
        Control::RemoveTargetById(ranges, target) => {
            format!("remove {} of {}", show_target(target), ids(ranges))
        }
        Control::RemoveTargetByTag(text, target) => {
            format!("remove {} of tag {}", show_target(target), tag(text))
        }
        Control::RemoveTargetByMsg(text, target) => {
            format!("remove {} of msg {}", show_target(target), tag(text))
        }
        other => format!("{other:?}"),
    }
}

#[track_caller]
fn check_effect(action: &str, expected: &str) {
    let shown: Vec<_> = effects(action).iter().map(show_effect).collect();
    assert_eq!(shown.join("; "), expected, "{action}");
}

#[test]
fn effects_on_collections() {
    check_effect("setvar:tx.a", "Tx a = 1");
    check_effect("setvar:'tx.a=b c=d'", "Tx a = b c=d");
    check_effect("setvar:'TX.a=+%{tx.b}'", "Tx a + <Tx.b>");
    check_effect("setvar:tx.a=-2", "Tx a - 2");
    check_effect("setvar:tx.a=", "Tx a = ");
    check_effect("setvar:'!ip.a'", "Ip a away");
    check_effect("setvar:'tx.a_%{MATCHED_VAR_NAME}=/%{tx.1}/'", "Tx a_<MatchedVarName> = /<Tx.1>/");
    check_effect("setvar:tx.a,setvar:'global.b=2'", "Tx a = 1; Global b = 2");
    check_effect("setvar:'ip.a=%{rule.msg}'", "Ip a = <rule Msg>");
    check_effect("setvar:'tx.a=100%'", "Tx a = 100%");
    check_effect("expirevar:'ip.a=%{tx.b}'", "Ip a after <Tx.b>");
    check_effect("expirevar:session.a=60", "Session a after 60");
    check_effect("initcol:ip=%{REMOTE_ADDR}_%{tx.ua}", "open Ip <RemoteAddr>_<Tx.ua>");
    check_effect("initcol:global=global", "open Global global");
    check_effect("setsid:%{REQUEST_COOKIES.SID}", "open Session <RequestCookies.sid>");
    check_effect("setuid:%{REMOTE_USER}", "open User <RemoteUser>");
    check_effect("setrsc:abc", "open Resource abc");
    check_effect("setenv:'a=%{tx.b}'", "env a <Tx.b>");
    check_effect("setenv:a", "env a 1");
    check_effect("sanitiseArg:Password", "redact Args:password");
    check_effect("sanitiseRequestHeader:Authorization", "redact RequestHeaders:authorization");
    check_effect("sanitiseResponseHeader:Set-Cookie", "redact ResponseHeaders:set-cookie");
    check_effect("sanitiseMatched", "redact matched");
    check_effect("sanitiseMatchedBytes:1/4", "redact matched");
    let collections = effects("setvar:resource.a,setvar:user.a");
    assert!(matches!(collections[0], Effect::Set { collection: Collection::Resource, .. }));
}

#[test]
fn controls() {
    check_effect("ctl:ruleEngine=Off", &format!("Engine({:?})", EngineMode::Off));
    check_effect("ctl:ruleEngine=DetectionOnly", "Engine(DetectionOnly)");
    check_effect("ctl:auditEngine=RelevantOnly", "Audit(None)");
    check_effect("ctl:auditEngine=Off", "Audit(Some(false))");
    check_effect("ctl:auditLogParts=+E", "AuditParts");
    check_effect("ctl:forceRequestBodyVariable=On", "ForceRequestBody(true)");
    check_effect("ctl:requestBodyAccess=Off", "RequestBody(false)");
    check_effect("ctl:responseBodyAccess=On", "ResponseBody(true)");
    check_effect("ctl:requestBodyLimit=10", "RequestBodyLimit(10)");
    check_effect("ctl:responseBodyLimit=10", "ResponseBodyLimit(10)");
    for processor in [
        Processor::UrlEncoded,
        Processor::Multipart,
        Processor::Json,
        Processor::Xml,
        Processor::Raw,
    ] {
        let expected = format!("Processor({processor:?})");
        check_effect(&format!("ctl:requestBodyProcessor={}", processor.word()), &expected);
    }
    check_effect("ctl:debugLogLevel=3", "");
    check_effect("ctl:ruleRemoveById=5", "remove 5-5");
    check_effect("ctl:ruleRemoveById=5-9", "remove 5-9");
    check_effect("ctl:'ruleRemoveById=5 7-9'", "remove 5-5 7-9");
    check_effect("ctl:ruleRemoveByTag=a/b-c", "remove tag a/b-c");
    check_effect("ctl:ruleRemoveByTag=^a.*", "remove tag ~^a.*");
    check_effect("ctl:ruleRemoveByMsg=a b", "remove msg a b");
    check_effect("ctl:ruleRemoveTargetById=5;ARGS:a[0][b]", "remove !Args:a[0][b] of 5-5");
    check_effect("ctl:ruleRemoveTargetById=5-9;ARGS:/^a/", "remove !Args~(?i)^a of 5-9");
    check_effect(
        "ctl:ruleRemoveTargetById=5;ARGS|FILES",
        "remove !Args of 5-5; remove !Files of 5-5",
    );
    check_effect(
        "ctl:ruleRemoveTargetByTag=a;REQUEST_FILENAME",
        "remove !RequestFilename of tag a",
    );
    check_effect("ctl:ruleRemoveTargetByMsg=a b;XML:/*", "remove !XmlTexts of msg a b");
}

#[test]
fn a_tag_that_a_rule_has_is_no_pattern() {
    let set = set("SecAction \"id:1,ctl:ruleRemoveByTag=a.b,ctl:ruleRemoveByTag=a.c\"\n\
                   SecAction \"id:2,tag:'a.b'\"");
    let shown: Vec<_> = super::rules(&set)[0].links[0].effects.iter().map(show_effect).collect();
    assert_eq!(shown, ["remove tag a.b", "remove tag ~a.c"]);
}

#[test]
fn settings() {
    let set = set(
        "SecRuleEngine DetectionOnly\nSecRequestBodyAccess Off\nSecResponseBodyAccess On\n\
         SecRequestBodyLimit 1\nSecRequestBodyNoFilesLimit 2\nSecRequestBodyLimitAction ProcessPartial\n\
         SecResponseBodyLimit 3\nSecResponseBodyLimitAction Reject\nSecResponseBodyMimeType text/A b/c\n\
         SecResponseBodyMimeType \"d/e f/g\"\nSecArgumentsLimit 4\nSecArgumentSeparator ;\n\
         SecRequestBodyJsonDepthLimit 5\nSecUploadFileLimit 6\nSecCollectionTimeout 7\nSecPcreMatchLimit 800000\n\
         SecCookieFormat 1\nSecComponentSignature \"set/1\"\n",
    );
    let s = &set.settings;
    assert_eq!(
        (s.engine, s.request_body, s.response_body),
        (EngineMode::DetectionOnly, false, true)
    );
    assert_eq!(
        (s.request_body_limit, s.request_body_no_files_limit, s.response_body_limit),
        (1, 2, 3)
    );
    assert_eq!(
        (s.request_over_limit, s.response_over_limit),
        (OverLimit::Partial, OverLimit::Reject)
    );
    assert_eq!(s.response_types, ["text/a", "b/c", "d/e", "f/g"]);
    assert_eq!((s.arguments_max, s.argument_separator, s.json_depth_max), (4, b';', 5));
    assert_eq!(
        (s.files_max, s.collection_timeout, s.match_steps_max, s.cookie_format),
        (6, 7, 800_000, 1)
    );
    assert_eq!(set.signatures, ["set/1"]);
    let cleared = super::set("SecResponseBodyMimeTypesClear\nSecResponseBodyMimeType a/b");
    assert_eq!(cleared.settings.response_types, ["a/b"]);
}

#[test]
fn a_limit_for_pcre_is_too_low_for_smaller_steps() {
    let set = set("SecPcreMatchLimit 1000");
    assert_eq!(set.settings.match_steps_max, 100_000);
    assert_eq!(set.warnings.len(), 1);
}

#[test]
fn what_is_not_done_may_be_off() {
    let off = "SecContentInjection Off\nSecHashEngine off\nSecParseXmlIntoArgs Off\n\
               SecStreamInBodyInspection Off\nSecStreamOutBodyInspection Off\nSecXmlExternalEntity Off\n";
    assert_eq!(set(off).warnings, []);
    let faults = super::read(off.replace("Off", "On").replace("off", "on")).expect_err("faults");
    assert_eq!(faults.len(), 6);
}

#[test]
fn what_sets_nothing_here_is_told_once() {
    let set = set("SecAuditLog a\nSecAuditLog b\nSecUnicodeMapFile a 20127\nSecDebugLogLevel 3\n");
    let shown: String = set.warnings.iter().map(show).collect();
    assert_eq!(
        shown,
        "1: SecAuditLog is known, but sets nothing here; it is passed over\n\
         3: SecUnicodeMapFile is known, but sets nothing here; it is passed over\n\
         4: SecDebugLogLevel is known, but sets nothing here; it is passed over\n"
    );
}

#[test]
fn macros() {
    let shown = |text: &str| {
        let rule = rule(format!("SecAction \"id:1,msg:'{text}'\""));
        show_template(&rule.msg.expect("a message"))
    };
    assert_eq!(shown("a %{TX.Foo}%{REQUEST_HEADERS.User-Agent} 5% %"), {
        "a <Tx.foo><RequestHeaders.user-agent> 5% %"
    });
    assert_eq!(shown("%{REQUEST_HEADERS:Host}"), "<RequestHeaders.host>");
    assert_eq!(shown("%{ARGS.a.b}"), "<Args.a.b>");
    assert_eq!(shown("%{rule.id}%{RULE.severity}%{rule.logdata}%{rule.rev}"), {
        "<rule Id><rule Severity><rule Logdata><rule Rev>"
    });
    assert_eq!(shown("%{unique_id}"), format!("<{:?}>", Variable::UniqueId));
}
