//! Chains, defaults, jumps.

use super::{link, read, rule, rules, set, show, show_targets, show_template};
use crate::rule::{Disruption, Item, Operator, Pattern, Skip, Transformation as T};

#[test]
fn a_chain_is_one_rule() {
    let rule = rule(
        "SecRule ARGS a \"id:1,phase:1,deny,t:lowercase,chain\"\n\
         # Between them may be a comment.\n\
           SecRule FILES b \"t:none,t:trim,capture,setvar:tx.a,chain,nolog\"\n\
           SecAction \"setvar:tx.b,phase:1,chain\"\n\
           SecRule TX:b c\n",
    );
    assert_eq!(rule.disruption, Disruption::Deny);
    assert!(rule.log);
    let shown: Vec<_> = rule.links.iter().map(show_targets).collect();
    assert_eq!(shown, ["Args", "Files", "", "Tx:b"]);
    let lines: Vec<_> = rule.links.iter().map(|link| link.place.line).collect();
    assert_eq!(lines, [1, 3, 4, 5]);
    assert_eq!(rule.links[1].transformations, [T::Trim]);
    assert!(rule.links[1].capture && !rule.links[0].capture);
    assert!(matches!(rule.links[2].operator, Operator::UnconditionalMatch));
    assert_eq!(rule.links.iter().map(|link| link.effects.len()).sum::<usize>(), 2);
}

#[test]
fn defaults_are_of_a_phase_and_of_rules_after_them() {
    let set = set("SecAction \"id:1,phase:1,block\"\n\
         SecDefaultAction \"phase:1,nolog,auditlog,deny,status:418,t:lowercase\"\n\
         SecRule ARGS a \"id:2,phase:1,block,t:trim,chain\"\n\
           SecRule ARGS b \"t:none,t:length\"\n\
         SecAction \"id:3,phase:1,pass,log,status:500\"\n\
         SecAction \"id:4,phase:1\"\n\
         SecAction \"id:5,phase:2,block\"\n");
    let seen: Vec<_> = rules(&set)
        .iter()
        .map(|r| (r.id, r.disruption.clone(), r.status, r.log, r.audit))
        .collect();
    assert_eq!(
        seen,
        [
            (1, Disruption::Pass, 403, true, true),
            (2, Disruption::Deny, 418, false, true),
            (3, Disruption::Pass, 500, true, true),
            (4, Disruption::Deny, 418, false, true),
            (5, Disruption::Pass, 403, true, true),
        ]
    );
    let links = &rules(&set)[1].links;
    assert_eq!(links[0].transformations, [T::Lowercase, T::Trim]);
    assert_eq!(links[1].transformations, [T::Length]);
}

#[test]
fn defaults_may_redirect_and_have_tags() {
    let set = set(
        "SecDefaultAction \"phase:1,log,redirect:'http://%{request_headers.host}/',tag:'at %{remote_addr}'\"\n\
         SecDefaultAction \"phase:2,log,block\"\n\
         SecAction \"id:1,phase:1,block,tag:a\"\n\
         SecAction \"id:2,phase:2,block\"\n",
    );
    let rules = rules(&set);
    let Disruption::Redirect(to) = &rules[0].disruption else { panic!("{:?}", rules[0]) };
    assert_eq!(show_template(to), "http://<RequestHeaders.host>/");
    assert_eq!(rules[0].status, 302);
    assert_eq!(
        rules[0].tags.iter().map(|tag| &**tag).collect::<Vec<_>>(),
        ["at %{remote_addr}", "a"]
    );
    assert_eq!(rules[1].disruption, Disruption::Pass);
    assert_eq!(
        set.warnings.iter().map(show).collect::<String>(),
        "1: a tag is taken as it is written: macros in tags are not expanded\n\
         2: block in SecDefaultAction says nothing: it is what block means\n"
    );
}

#[test]
fn flags_of_logs_are_read_in_their_order() {
    let flags = |text: &str| {
        let rule = rule(format!("SecAction \"id:1,{text}\""));
        (rule.log, rule.audit)
    };
    assert_eq!(flags("pass"), (true, true));
    assert_eq!(flags("nolog"), (false, false));
    assert_eq!(flags("nolog,auditlog"), (false, true));
    assert_eq!(flags("auditlog,nolog"), (false, false));
    assert_eq!(flags("log,noauditlog"), (true, false));
}

#[test]
fn none_takes_away_what_is_before_it() {
    let of = |text: &str| super::link(format!("SecRule ARGS a \"id:1,{text}\"")).transformations;
    assert_eq!(of("t:trim,t:none,t:length,t:length"), [T::Length, T::Length]);
    assert_eq!(of("t:trim,t:none"), []);
}

/// Where each rule that skips goes on.
fn jumps(text: &str) -> Vec<(u32, usize)> {
    let set = set(text);
    let jump = |item: &Item| match item {
        Item::Rule(rule) => match &rule.skip {
            Some(Skip::After { item, .. }) => Some((rule.id, *item)),
            _ => None,
        },
        Item::Marker(_) => None,
    };
    set.items.iter().filter_map(jump).collect()
}

#[test]
fn jumps_go_past_the_next_marker_of_the_name() {
    let text = "SecMarker A\n\
                SecAction \"id:1,skipAfter:A\"\n\
                SecAction \"id:2,skipAfter:'B C'\"\n\
                SecMarker \"A\"\n\
                SecAction \"id:3,skipAfter:A\"\n\
                SecMarker A\n\
                SecMarker \"B C\"\n\
                SecAction \"id:4,skipAfter:5\"\n\
                SecAction \"id:5,skipAfter:nowhere\"\n\
                SecAction id:6\n";
    assert_eq!(jumps(text), [(1, 4), (2, 7), (3, 6), (4, 9), (5, 10)]);
    let warnings: String = set(text).warnings.iter().map(show).collect();
    assert_eq!(
        warnings,
        "9 [5]: skipAfter: no marker nowhere after this rule, so that the rest of the phase is skipped\n"
    );
}

#[test]
fn a_rule_that_is_removed_leaves_no_gap() {
    let text = "SecRuleRemoveById 2\nSecAction \"id:1,skipAfter:A\"\nSecAction id:2\nSecMarker A\n";
    assert_eq!(jumps(text), [(1, 2)]);
}

#[track_caller]
fn check_faults(text: &str, expected: &str) {
    let faults: String = read(text).err().unwrap_or_default().iter().map(show).collect();
    assert_eq!(faults, expected, "{text}");
}

#[test]
fn what_only_the_first_rule_of_a_chain_may_say() {
    check_faults(
        "SecRule ARGS a \"id:1,phase:1,chain\"\n\
         SecRule ARGS b \"id:2,phase:2,deny,block,status:400,skip:1,skipAfter:A\"\n",
        "2 [1]: an id within a chain: it is that of the chain's first rule\n\
         2 [1]: phase within a chain: write it in the chain's first rule\n\
         2 [1]: deny within a chain: write it in the chain's first rule\n\
         2 [1]: block within a chain: write it in the chain's first rule\n\
         2 [1]: status within a chain: write it in the chain's first rule\n\
         2 [1]: skip within a chain: write it in the chain's first rule\n\
         2 [1]: skipAfter within a chain: write it in the chain's first rule\n",
    );
    let warned = set("SecRule ARGS a \"id:1,chain\"\nSecRule ARGS b \"msg:'a',tag:'b'\"\n");
    let shown: String = warned.warnings.iter().map(show).collect();
    assert_eq!(
        shown,
        "2 [1]: msg within a chain says nothing: write it in the first rule\n\
         2 [1]: tag within a chain says nothing: write it in the first rule\n"
    );
}

#[test]
fn a_chain_goes_on_with_the_next_directive() {
    let text =
        |whence: &str| format!("[1]: the chain of the rule on line 1 has no next rule {whence}\n");
    check_faults(
        "SecRule ARGS a \"id:1,chain\"\n\n",
        &format!("1 {}", text("at the end of the file")),
    );
    check_faults(
        "SecRule ARGS a \"id:1,chain\"\nSecMarker A\nSecRule ARGS a id:2\n",
        &format!("2 {}", text("before this directive")),
    );
}

/// What is written for Apache's reader is read as it reads it, as far as that lets nothing pass.
#[test]
fn doubled_pairs_of_backslashes_are_halved_where_the_set_doubles_them() {
    let check = |ver: &str, written: &str, pattern: &str| {
        let text = format!(r#"SecRule ARGS "@rx {written}" "id:1,phase:2,pass,ver:'{ver}'""#);
        let Operator::Rx(Pattern::Fixed(regex)) = link(text).operator else { panic!("no pattern") };
        assert_eq!(String::from_utf8_lossy(regex.pattern()), pattern, "{ver}");
    };
    check("OWASP_CRS/3.3.4", r"(?:^|[^\\\\])\\\\[a-z]", r"(?:^|[^\\])\\[a-z]");
    check("OWASP_CRS/3.3.4", r"[\\/]x", r"[\\/]x");
    check("OWASP_CRS/4.28.0", r"\\\\x", r"\\\\x");
    check("mine", r"^\\\\server", r"^\\\\server");
}
