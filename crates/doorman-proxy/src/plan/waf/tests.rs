use std::path::Path;

use doorman_config::{MemorySource, load};
use doorman_net::Clock;
use doorman_net::tls::TicketKeys;

use super::*;
use crate::plan::{Compiled, Ground, Plan};

fn ground(data: &Path) -> Ground {
    let clock = Clock::system();
    let tickets = TicketKeys::new(Arc::new(clock)).unwrap();
    Ground::new(data.to_owned(), clock, tickets)
}

fn config(site: &str) -> Arc<doorman_config::Config> {
    let text = format!("site http://a.test {{\n{site}\nrespond 200\n}}");
    let loaded = load(&MemorySource::new().file("doorman.conf", text), "doorman.conf");
    Arc::new(loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)))
}

fn compiled(ground: &Ground, site: &str) -> Compiled {
    Plan::compile(&config(site), ground)
}

fn plan(ground: &Ground, site: &str) -> Plan {
    let compiled = compiled(ground, site);
    compiled.plan.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics))
}

fn engines(plan: &Plan) -> Vec<Arc<Engine>> {
    plan.rule_sets.iter().map(|set| Arc::clone(&set.engine)).collect()
}

#[test]
fn equal_sets_are_made_once_over_routes_and_plans() {
    let data = tempfile::tempdir().unwrap();
    let ground = ground(data.path());
    let site = "waf starter; route /a { respond 200 }; route /b { waf starter; respond 200 }\n\
                route /c { waf starter level 2; respond 200 }; route /d { waf off; respond 200 }";
    let first = plan(&ground, site);
    assert_eq!(first.rule_sets.len(), 2, "two levels are two sets");
    let again = plan(&ground, site);
    for (one, other) in engines(&first).iter().zip(&engines(&again)) {
        assert!(Arc::ptr_eq(one, other));
    }
    let third = plan(&ground, "waf starter level 1");
    // What is written is told to the rules, what is not is left to them: another set.
    assert!(!Arc::ptr_eq(&engines(&third)[0], &engines(&first)[0]));
}

#[test]
fn files_that_change_make_another_set_and_only_with_a_configuration() {
    let data = tempfile::tempdir().unwrap();
    let ground = ground(data.path());
    let folder = data.path().join("rules");
    std::fs::create_dir(&folder).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("a.conf", "SecRule ARGS \"@pmFromFile words.data\" \"id:1,phase:2,deny\"\n");
    write("words.data", "one\n");
    let site = format!("waf {}", folder.display());
    let held = plan(&ground, &site);
    let first = engines(&held);
    assert!(Arc::ptr_eq(&first[0], &engines(&plan(&ground, &site))[0]));
    write("words.data", "two\n");
    let renewed = Plan::renew(&config(&site), &ground).plan.unwrap();
    assert!(Arc::ptr_eq(&first[0], &engines(&renewed)[0]), "nobody has reloaded");
    assert!(!Arc::ptr_eq(&first[0], &engines(&plan(&ground, &site))[0]));
}

#[test]
fn faults_of_rules_are_told_with_file_line_and_number() {
    let data = tempfile::tempdir().unwrap();
    let ground = ground(data.path());
    let file = data.path().join("own.conf");
    std::fs::write(&file, "# first\nSecRule ARGS \"@nosuch x\" \"id:77,phase:2,deny\"\n").unwrap();
    let compiled = compiled(&ground, &format!("waf starter rules {}", file.display()));
    assert!(compiled.plan.is_none());
    let fault = &compiled.diagnostics[0];
    let (code, text) = (fault.code, &fault.message);
    assert_eq!(code, "E0614", "{text}");
    assert!(text.contains("own.conf:2: rule 77: "), "{text}");
}

#[test]
fn warnings_stand_where_they_were_made_and_are_told_once() {
    let data = tempfile::tempdir().unwrap();
    let ground = ground(data.path());
    let site = "waf starter exclude 1003010 exclude 5 path /x\nroute /a { respond 200 }";
    let told = compiled(&ground, site).diagnostics;
    let codes: Vec<&str> = told.iter().map(|one| one.code).collect();
    assert_eq!(codes, ["W0615"], "{told:?}");
    assert!(told[0].primary.span.start > 35, "at the exclusion: {told:?}");
    assert!(!told[0].message.contains('('), "{told:?}");
    assert_eq!(
        compiled(&ground, site).diagnostics.len(),
        1,
        "no plan holds the set: it is made anew"
    );
    let first = plan(&ground, site);
    assert_eq!(compiled(&ground, site).diagnostics.len(), 0, "{}", first.rule_sets.len());
}

#[test]
fn a_folder_that_is_not_there_is_a_fault_of_the_configuration() {
    let data = tempfile::tempdir().unwrap();
    let ground = ground(data.path());
    for site in ["waf ./nowhere/rules", "waf starter rules ./nowhere.conf"] {
        let compiled = compiled(&ground, site);
        assert!(compiled.plan.is_none());
        assert_eq!(compiled.diagnostics[0].code, "E0601", "{:?}", compiled.diagnostics);
    }
}

#[test]
fn calls_pass_unseen_only_to_servers_that_may_take_them() {
    let data = tempfile::tempdir().unwrap();
    let ground = ground(data.path());
    let check = |upstream: &str, expected: bool| {
        let text = format!(
            "upstream u {{\n{upstream}\n}}\nsite http://a.test {{\nwaf starter\nproxy u\n}}"
        );
        let source = MemorySource::new().file("doorman.conf", text);
        let loaded = load(&source, "doorman.conf");
        let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        let compiled = Plan::compile(&Arc::new(config), &ground);
        let plan = compiled.plan.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics));
        let mut routes = plan.sites.iter().flat_map(|site| &site.routes);
        let waf = routes.find_map(|route| route.waf.as_ref()).expect("the site has rules");
        assert_eq!(waf.takes_calls, expected, "{upstream}");
    };
    check("server 192.0.2.1:80", false);
    check("server 192.0.2.1:80\nprotocol h1", false);
    check("server 192.0.2.1:80\nprotocol h2c", true);
    check("server https://192.0.2.1:443", false);
    check("server https://192.0.2.1:443\nprotocol auto", true);
    check("server https://192.0.2.1:443\nprotocol h1", false);
}
