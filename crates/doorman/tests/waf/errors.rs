//! Rules that cannot be run, and rules that cannot be read.

use crate::rig::{House, RULES};

/// A pattern that no bound of time can be given for, but by counting its steps.
const COSTLY: &str = "SecRule ARGS:r \"@rx (a*)(a*)(a*)\\1b\\2c$\" \
    \"id:120,phase:2,deny,status:403,log,msg:'costly'\"\n";

#[test]
fn what_cannot_be_inspected_is_refused_or_passes() {
    let site = "route /open { waf starter on-error open rules costly.conf; proxy web }\n\
                route /detect { waf starter mode detect rules costly.conf; proxy web }\n\
                waf starter rules costly.conf\nproxy web";
    let house = House::with("waf starter");
    house.write("costly.conf", COSTLY);
    house.configure(site);
    house.reload(" is in force");
    let attack = format!("?r=cb{}c", "a".repeat(500));
    assert_eq!(house.get("/closed?r=short", &[]).status, 200);
    assert_eq!(house.asked(), 1);
    assert_eq!(house.get(&format!("/closed-long{attack}"), &[]).status, 403);
    assert_eq!(house.asked(), 1);
    assert_eq!(house.get(&format!("/open{attack}"), &[]).status, 200);
    assert_eq!(house.get(&format!("/detect{attack}"), &[]).status, 200);
    let line = house.line("/closed-long");
    assert!(line.contains("\"end\":\"waf-error\"") && line.contains("\"waf\":\"error\""), "{line}");
    let line = house.line("/open");
    assert!(line.contains("\"waf\":\"error\""), "{line}");
}

#[test]
fn a_broken_file_of_rules_keeps_the_old_plan() {
    let house = House::with("waf starter rules own.conf");
    assert_eq!(house.get("/x?q=attack", &[]).status, 403);
    house.write("own.conf", "SecRule ARGS \"@contans attack\" \"id:100,phase:2,deny\"\n");
    house.reload("was not reloaded");
    let said = house.process.said().join("\n");
    assert!(said.contains("E0614") && said.contains("own.conf:1: rule 100: "), "{said}");
    assert_eq!(house.get("/x?q=attack", &[]).status, 403);
    // What is right again counts at once.
    house.write("own.conf", &RULES.replace("contains attack", "contains assault"));
    house.reload(" is in force");
    assert_eq!(house.get("/x?q=attack", &[]).status, 200);
    assert_eq!(house.get("/x?q=assault", &[]).status, 403);
}

#[test]
fn a_set_that_is_not_there_says_what_to_do() {
    let house = House::with("waf starter rules own.conf");
    house.configure("waf ./nowhere");
    house.reload("was not reloaded");
    let said = house.process.said().join("\n");
    assert!(said.contains("E0601") && said.contains("nowhere"), "{said}");
    assert_eq!(house.get("/x?q=attack", &[]).status, 403);
}
