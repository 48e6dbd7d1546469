//! Updates and removals.

use super::{rules, set, show, show_targets, show_template};
use crate::rule::{Disruption, Transformation};

const RULES: &str = "SecRule ARGS|REQUEST_COOKIES a \"id:1,msg:'first one',tag:'a/b',tag:'c',chain\"\n\
                     SecRule MATCHED_VARS|ARGS:x b\n\
                     SecRule ARGS_NAMES a \"id:2,msg:'second (two)',tag:'a/d',deny\"\n\
                     SecRule ARGS a \"id:3,tag:'e'\"\n";

/// Changes hold whether they are before the rules or after them.
#[track_caller]
fn check(changes: &str, expected: &str, warnings: &str) {
    for text in [format!("{changes}\n{RULES}"), format!("{RULES}{changes}\n")] {
        let set = set(&text);
        let shown: Vec<_> = rules(&set)
            .iter()
            .map(|rule| {
                let links: Vec<_> = rule.links.iter().map(show_targets).collect();
                format!("{}: {}", rule.id, links.join(" / "))
            })
            .collect();
        assert_eq!(shown.join("\n"), expected, "{text}");
        let shown: String = set.warnings.iter().map(|w| format!("{}\n", w.text)).collect();
        assert_eq!(shown, warnings, "{text}");
    }
}

const ONE: &str = "1: Args RequestCookies / MatchedVars Args:x";
const TWO: &str = "2: ArgsNames";
const THREE: &str = "3: Args";

#[test]
fn removals() {
    let check = |changes: &str, expected: &[&str]| check(changes, &expected.join("\n"), "");
    check("SecRuleRemoveById 1", &[TWO, THREE]);
    check("SecRuleRemoveById 1 \"3\"", &[TWO]);
    check("SecRuleRemoveById 2-3", &[ONE]);
    check("SecRuleRemoveByTag c", &[TWO, THREE]);
}

#[test]
fn a_tag_that_no_rule_has_is_a_pattern_if_it_may_be_one() {
    check("SecRuleRemoveByTag ^a/", THREE, "");
    let none = "there is no rule of the tag `a/` to change\n";
    check("SecRuleRemoveByTag a/", &[ONE, TWO, THREE].join("\n"), none);
    check("SecRuleRemoveByMsg \"second (two)\"", &[ONE, THREE].join("\n"), "");
    check("SecRuleRemoveByMsg \"^(first|second)\"", THREE, "");
}

#[test]
fn targets() {
    check(
        "SecRuleUpdateTargetById 1 !ARGS:x",
        &format!("1: Args RequestCookies !Args:x / MatchedVars Args:x !Args:x\n{TWO}\n{THREE}"),
        "",
    );
    check(
        "SecRuleUpdateTargetById 1-3 \"!REQUEST_COOKIES:/^_a(?:b|c)$/\"",
        &format!(
            "1: Args RequestCookies !RequestCookies~(?i)^_a(?:b|c)$ / MatchedVars Args:x\n{TWO}\n{THREE}"
        ),
        "",
    );
    check(
        "SecRuleUpdateTargetById 3 \"FILES,!ARGS:a|!ARGS:a\"",
        &format!("{ONE}\n{TWO}\n3: Args Files !Args:a"),
        "",
    );
    check(
        "SecRuleUpdateTargetById 1 ARGS_GET ARGS",
        &format!("1: RequestCookies ArgsGet / MatchedVars Args:x\n{TWO}\n{THREE}"),
        "",
    );
    check("SecRuleUpdateTargetByTag e FILES", &format!("{ONE}\n{TWO}\n3: Args Files"), "");
    check(
        "SecRuleUpdateTargetByMsg \"first one\" FILES",
        &format!("1: Args RequestCookies Files / MatchedVars Args:x\n{TWO}\n{THREE}"),
        "",
    );
    let all = [ONE, TWO, THREE].join("\n");
    check("SecRuleUpdateTargetById 9 FILES", &all, "there is no rule of the id 9 to change\n");
    check("SecRuleUpdateTargetById 3 !FILES", &all, "");
}

#[test]
fn actions() {
    let changes = "SecRuleUpdateActionById 2 \"pass,nolog,status:500,msg:'new',tag:'t',t:none,t:trim\"\n\
                   SecRuleUpdateActionById 1:1 \"t:length,setvar:tx.a\"\n";
    for text in [format!("{changes}{RULES}"), format!("{RULES}{changes}")] {
        let set = set(&text);
        let rules = rules(&set);
        assert_eq!(set.warnings, []);
        let two = rules[1];
        assert_eq!((two.disruption.clone(), two.log, two.status), (Disruption::Pass, false, 500));
        assert_eq!(two.msg.as_ref().map(show_template).as_deref(), Some("new"));
        assert_eq!(two.tags.len(), 2);
        assert_eq!(two.links[0].transformations, [Transformation::Trim]);
        assert_eq!(rules[0].links[1].transformations, [Transformation::Length]);
        assert_eq!((rules[0].links[0].effects.len(), rules[0].links[1].effects.len()), (0, 1));
    }
    let warned = set(format!("{RULES}SecRuleUpdateActionById 9 pass\n"));
    assert_eq!(warned.warnings.iter().map(show).collect::<String>(), {
        "5: there is no rule 9 to update\n"
    });
}

#[test]
fn a_rule_must_have_something_to_look_at() {
    let faults = super::read("SecRule ARGS a id:1\nSecRuleUpdateTargetById 1 !ARGS:a ARGS\n");
    let shown: String = faults.expect_err("a fault").iter().map(show).collect();
    assert_eq!(
        shown,
        "2 [1]: the rule has nothing left to look at; SecRuleRemoveById removes it\n"
    );
    let set = set("SecAction id:1\nSecRuleUpdateTargetById 1 ARGS\n");
    assert_eq!(show_targets(&rules(&set)[0].links[0]), "");
}
