use std::sync::Arc;

use super::*;
use crate::rule::{Item, Rule};

struct None_;

impl Files for None_ {
    fn read(&self, _: &str, name: &str) -> Result<(Arc<str>, Vec<u8>), String> {
        Err(format!("no {name}"))
    }

    fn list(&self, _: &str, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
}

#[test]
fn a_few_rules() {
    let text = br#"
SecRuleEngine On
SecDefaultAction "phase:2,log,auditlog,deny,status:403"
SecRule ARGS|!ARGS:pw|&REQUEST_HEADERS:Host "@rx (?i)attack" \
    "id:1,\
    phase:2,\
    block,\
    capture,\
    t:none,t:urlDecodeUni,\
    msg:'it\'s %{TX.0}',\
    setvar:'tx.score=+5',\
    chain"
    SecRule TX:score "@gt 3" "t:none"
"#;
    let source = Source { name: "a.conf".into(), text: text.to_vec() };
    let set = load(&[source], &None_).expect("loads");
    let [Item::Rule(rule)] = set.items.as_slice() else { panic!("{:?}", set.items) };
    let rule: &Rule = rule;
    assert_eq!(rule.links.len(), 2);
    assert_eq!(rule.status, 403);
}
