//! What is told of what is wrong.

use super::{Shelf, read, show, source};
use crate::seclang::load;

#[track_caller]
fn check(text: &str, expected: &str) {
    let faults: String = read(text).err().unwrap_or_default().iter().map(show).collect();
    assert_eq!(faults, expected, "{text}");
}

/// The fault of an action of a rule that has no other.
#[track_caller]
fn check_action(action: &str, expected: &str) {
    check(&format!("SecAction \"id:1,{action}\""), &format!("1 [1]: {expected}\n"));
}

#[track_caller]
fn check_rule(rule: &str, expected: &str) {
    check(&format!("SecRule {rule} id:1"), &format!("1 [1]: {expected}\n"));
}

#[test]
fn directives() {
    check("SecRul ARGS a id:1", "1: unknown directive `SecRul`; did you mean SecRule?\n");
    check("SecAuditLogg a", "1: unknown directive `SecAuditLogg`; did you mean SecAuditLog?\n");
    check("SecRuleEngine Onn", "1: SecRuleEngine: unknown mode `Onn`; did you mean On?\n");
    check("SecRuleEngine", "1: SecRuleEngine takes 1 argument, and has 0\n");
    check("Nothing like it", "1: unknown directive `Nothing`\n");
    check("SecRuleScript a.lua id:1", "1: SecRuleScript: not supported: no scripts are run\n");
    check("SecCookieFormat 2", "1: SecCookieFormat: the value: `2` is not a number from 0 to 1\n");
    check("SecArgumentSeparator ab", "1: SecArgumentSeparator: a separator is one byte\n");
    check("SecResponseBodyMimeType text", "1: SecResponseBodyMimeType: `text` is no media type\n");
    check(
        "SecTmpDir a b",
        "1: SecTmpDir takes 1 argument, and has 2; put one with spaces in it into quotes\n",
    );
    check(
        "<IfModule security2_module>\n",
        "1: `<IfModule`: sections of a server's configuration are not read; take it out\n",
    );
    check("SecRuleRemoveById x", "1: SecRuleRemoveById: `x` is no id and no range of ids\n");
    check("SecRuleRemoveById 9-5", "1: SecRuleRemoveById: `9-5` is no id and no range of ids\n");
}

#[test]
fn defaults() {
    check(
        "SecDefaultAction \"phase:1,log,id:2,msg:'a'\"",
        "1: SecDefaultAction cannot say `id`: it is of single rules\n\
         1: SecDefaultAction cannot say `msg`: it is of single rules\n\
         1: SecDefaultAction without pass, deny, drop, redirect or allow\n",
    );
}

#[test]
fn targets() {
    check_rule("ARG a", "unknown variable `ARG`; did you mean ARGS?");
    check_rule("ARGS||FILES a", "a variable expected, near `ARGS||FILES`");
    check_rule("REQUEST_METHOD:a a", "REQUEST_METHOD is one value, it has no members");
    check_rule("XML a", "XML without what of it: XML:/* or XML://@*");
    check_rule(
        "XML:/a/b a",
        "the path `/a/b` is not supported; only XML:/* (texts) and XML://@* (attributes) are",
    );
    check_rule("ARGS: a", "a colon without the name of a member");
    check_rule("ARGS:/a a", "a pattern without the / at its end");
    check_rule("ARGS:'a a", "a quote that does not end");
    check_rule("!ARGS:a a", "every target takes values away, so that none is looked at");
    check_rule(
        "SCRIPT_UID a",
        "the variable SCRIPT_UID is not supported: nothing here has its value",
    );
    check_rule("\"ARGS FILES\" a", "| expected between targets, near `ARGS FILES`");
}

#[test]
fn operators() {
    check_rule("ARGS @contain", {
        "unknown operator `contain`; did you mean contains? (a pattern that begins with @ is written @rx @…)"
    });
    check_rule("ARGS @verifyCC", "the operator @verifyCC is not supported");
    check_rule("ARGS @pm", "no phrases to look for");
    check_rule("ARGS @pmFromFile", "the name of a file is missing");
    check_rule("ARGS \"@pmFromFile a.data\"", "a.data cannot be read: no such file");
    check_rule("ARGS \"@pmFromFile https://a/b\"", "https://a/b is not fetched: name a file");
    check_rule("ARGS \"@ipMatch 10.0.0.0/33\"", "`10.0.0.0/33` is no address");
    check_rule("ARGS @ipMatch", "no address");
    check_rule("ARGS \"@validateByteRange 1-300\"", "`1-300` is no range of bytes, 0-255");
    check_rule("ARGS \"@validateByteRange 5-1\"", "`5-1` is no range of bytes, 0-255");
    check_rule("ARGS \"@streq %{tx.a\"", "a macro without its }, near `%{tx.a`");
    check_rule("ARGS \"@streq %{txx.a}\"", "unknown variable `txx`; did you mean TX?");
}

#[test]
fn patterns_name_the_place_within() {
    let faults = read("SecRule ARGS \\\n  \"@rx a(b\" \\\n id:1").expect_err("no pattern");
    let shown = show(&faults[0]);
    assert!(shown.starts_with("2 [1]: a pattern that is not understood, at byte "), "{shown}");
    assert!(shown.contains("near `a(b`"), "{shown}");
    let faults = read("SecAction id:1\nSecRuleRemoveByTag \"a(\"").expect_err("no pattern");
    let shown = show(&faults[0]);
    assert!(shown.starts_with("2: a pattern that is not understood, at byte "), "{shown}");
}

#[test]
fn ids() {
    check(
        "SecAction nolog\nSecAction \"id:0\"\nSecAction \"id:x\"\nSecAction \"id:4294967296\"\nSecRule ARGS a\n",
        "1: a rule without an id: each rule needs its own, as in \"id:1000001\"\n\
         2: id: `0` is not a number from 1 to 4294967295\n\
         3: id: `x` is not a number from 1 to 4294967295\n\
         4: id: `4294967296` is not a number from 1 to 4294967295\n\
         5: a rule without an id: each rule needs its own, as in \"id:1000001\"\n",
    );
}

#[test]
fn actions() {
    check_action("dney", "unknown action `dney`; did you mean deny?");
    check_action("exec:a", "the action exec is not supported: nothing is executed");
    check_action("proxy:a", {
        "the action proxy is not supported: a rule does not choose where a request goes"
    });
    check_action("deny:a", "deny has no value, but has `a`");
    check_action("msg", "msg without a value");
    check_action("phase:6", "`6` is no phase: 1-5, request, response or logging");
    check_action("status:99", "status: `99` is not a number from 100 to 599");
    check_action("allow:a", "allow:`a` is unknown: allow, allow:phase or allow:request");
    check_action("severity:CRITCAL", "unknown severity `CRITCAL`; did you mean CRITICAL?");
    check_action("t:lowercas", "unknown transformation `lowercas`; did you mean lowercase?");
    check_action("t:parityOdd7bit", "the transformation parityOdd7bit is not supported");
    check_action("skip:0", "skip: `0` is not a number from 1 to 4294967295");
    check_action("msg:'%{TX}%{REQUEST_URI.a}'", {
        "msg: REQUEST_URI is one value, it has no members"
    });
    check_action("msg:'%{rule.nope}'", "msg: unknown field of a rule `nope`");
    check_action("msg:'%{XML.a}'", "msg: XML cannot be told in a macro");
}

#[test]
fn effects() {
    check_action("setvar:a=1", "setvar: `a` has no collection: write tx.name");
    check_action("setvar:args.a=1", "setvar: unknown collection to write to `args`");
    check_action("setvar:tx.=1", "setvar: the name of a variable is missing after the dot");
    check_action("expirevar:ip.a", "expirevar: = and seconds are missing");
    check_action("initcol:ip", "initcol: = and a key are missing");
    check_action("initcol:tx=1", "initcol: TX is there without it");
    check_action("setuid:", "setuid: a key is missing");
    check_action("setenv:=1", "setenv: a name is missing");
    check_action("sanitiseArg", "sanitiseArg: a name is missing");
    check_action("ctl:ruleEngin=On", "ctl: unknown option `ruleEngin`; did you mean ruleEngine?");
    check_action("ctl:ruleEngine", "ctl: ruleEngine without = and a value");
    check_action(
        "ctl:requestBodyProcessor=YAML",
        "ctl: unknown body processor `YAML`; did you mean XML?",
    );
    check_action("ctl:ruleRemoveById=a", "ctl: `a` is no id and no range of ids");
    check_action("ctl:ruleRemoveTargetById=1", "ctl: ; and a target are missing");
    check_action("ctl:ruleRemoveTargetById=;ARGS", "ctl: what comes before ; is missing");
    check_action(
        "ctl:ruleRemoveTargetById=1;ARG:a",
        "ctl: unknown variable `ARG`; did you mean ARGS?",
    );
    check_action("ctl:hashEngine=On", "ctl: hashEngine is not supported: links are not signed");
}

#[test]
fn updates() {
    check(
        "SecAction id:1\nSecRuleUpdateActionById 1 \"id:2\"\nSecRuleUpdateActionById 1:1 pass\n\
         SecRuleUpdateActionById x pass\nSecRuleUpdateTargetById 1 !ARG\nSecRuleUpdateActionById 1 dney\n",
        "2: id cannot be changed: what a rule is would be another\n\
         3: the rule 1 has no link 1\n\
         4: id: `x` is not a number from 1 to 4294967295\n\
         5: unknown variable `ARG`; did you mean ARGS?\n\
         6 [1]: unknown action `dney`; did you mean deny?\n",
    );
}

#[test]
fn all_faults_are_told_at_once() {
    check(
        "SecRule ARG|FILE,ARGS @nope \"id:1,\\\n dney,\\\n t:nope,chain\"\n  SecRule FILE a \"severity:9\"\nSecNope\n",
        "1 [1]: unknown variable `ARG`; did you mean ARGS?\n\
         1 [1]: unknown variable `FILE`; did you mean FILES?\n\
         1 [1]: unknown operator `nope` (a pattern that begins with @ is written @rx @…)\n\
         2 [1]: unknown action `dney`; did you mean deny?\n\
         3 [1]: unknown transformation `nope`; did you mean none?\n\
         4 [1]: unknown variable `FILE`; did you mean FILES?\n\
         4 [1]: unknown severity `9`\n\
         5: unknown directive `SecNope`\n",
    );
}

#[test]
fn a_rule_that_cannot_be_read_makes_no_fault_of_the_next() {
    check(
        "SecRule ARGS \"a \"id:1,chain\"\n  SecRule ARGS a t:none\nSecRule ARGS a id:2\n",
        "1: a quote that ends within a word, before 'i'; write \\\" for a quote that is meant\n",
    );
}

#[test]
fn odd_things_are_warnings() {
    let text = "SecRule ARGS \"@eq a\" \"id:1,deny,pass\"\nSecRule ARGS \"@detectXSS a\" id:2\n";
    let set = load(&[source(text)], &Shelf::default()).expect("it is right");
    assert_eq!(
        set.warnings.iter().map(show).collect::<String>(),
        "1 [1]: `a` is no number: its first digits count, or 0\n\
         1 [1]: more than one of pass, block, deny, drop, redirect and allow; the last holds\n\
         2 [2]: @detectXSS has no operand: `a` is not looked at\n"
    );
}

#[test]
fn what_is_told_has_a_bound() {
    let faults = read("x\n".repeat(2_000)).expect_err("faults");
    assert_eq!(faults.len(), 501);
    assert_eq!(faults[500].text, "there is more that is wrong; reading ended here");
    assert_eq!(faults[500].place.line, 501);
    let text: String = (1..2_000).map(|id| format!("SecRule ARG a id:{id}\n")).collect();
    let faults = read(text).expect_err("faults");
    assert_eq!((faults.len(), faults[500].id), (501, Some(501)));
}
