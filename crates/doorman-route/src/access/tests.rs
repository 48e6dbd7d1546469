use proptest::prelude::*;

use super::*;
use crate::geo::tests::{database, text};
use crate::{Countries, Networks};

fn geo() -> Geo {
    let country = |code: &str| text(&[("country", &[("iso_code", code)])]);
    let countries =
        database(6, 24, &[("192.0.2.0/24", country("DE")), ("2001:db8::/32", country("FR"))]);
    let asn = |asn: &str| text(&[("asn", &[("", asn)])]);
    let networks = database(6, 24, &[("192.0.2.0/25", asn("AS64496"))]);
    Geo {
        countries: Some(Arc::new(Countries::open(&countries).unwrap())),
        networks: Some(Arc::new(Networks::open(&networks).unwrap())),
    }
}

/// `192.0.2.0/24`, `country DE`, `asn 64496` or `list WORD`.
fn entry(name: &str) -> Entry {
    let who = match name.split_once(' ') {
        Some(("country", code)) => Who::Countries(CountrySet::new([code]).unwrap()),
        Some(("asn", asn)) => Who::Networks([asn.parse().unwrap()].into()),
        Some((_, word)) => Who::Agents(Arc::new(AgentList::read(word.as_bytes()).unwrap())),
        None => Who::Addresses(Arc::new(
            [name.parse::<crate::AddressRange>().unwrap()].into_iter().collect(),
        )),
    };
    Entry { name: name.into(), who }
}

fn access(deny: &[&str], allow: &[&str]) -> Access {
    let entries = |names: &[&str]| names.iter().map(|name| entry(name)).collect();
    Access { deny: entries(deny), allow: entries(allow) }
}

fn head(agents: &[&str]) -> RequestHead {
    let mut head = RequestHead::default();
    for agent in agents {
        head.fields.push(b"User-Agent", agent.as_bytes());
    }
    head
}

#[test]
fn decisions() {
    let pass = |by| Verdict::Pass { by };
    let denied = |by| Verdict::Denied { by };
    let geo = geo();
    for (deny, allow, ip, agents, expect) in [
        (&[][..], &[][..], "192.0.2.1", &[][..], pass(None)),
        (&["192.0.2.0/24"], &[], "192.0.2.1", &[], denied("192.0.2.0/24")),
        (&["192.0.2.0/24"], &[], "::ffff:192.0.2.1", &[], denied("192.0.2.0/24")),
        (&["192.0.2.0/24"], &[], "192.0.3.1", &[], pass(None)),
        (&["192.0.2.1"], &["192.0.2.0/24"], "192.0.2.1", &[], denied("192.0.2.1")),
        (&["192.0.2.1"], &["192.0.2.0/24"], "192.0.2.2", &[], pass(Some("192.0.2.0/24"))),
        (&["192.0.2.1"], &["192.0.2.0/24"], "192.0.3.2", &[], Verdict::NotAllowed),
        (&["country FR", "country DE"], &[], "192.0.2.1", &[], denied("country DE")),
        (&["country FR"], &[], "2001:db8::1", &[], denied("country FR")),
        (&["country FR"], &[], "198.51.100.1", &[], pass(None)),
        (&[], &["country FR"], "198.51.100.1", &[], Verdict::NotAllowed),
        (&[], &["country FR", "asn 64496"], "192.0.2.1", &[], pass(Some("asn 64496"))),
        (&[], &["asn 64496"], "192.0.2.200", &[], Verdict::NotAllowed),
        (&["list evil"], &[], "192.0.2.1", &["An EvilBot"], denied("list evil")),
        (&["list evil"], &[], "192.0.2.1", &["a browser", "evil"], denied("list evil")),
        (&["list evil"], &[], "192.0.2.1", &["a browser"], pass(None)),
        (&["list evil"], &[], "192.0.2.1", &[], pass(None)),
    ] {
        let head = head(agents);
        let visitor = Visitor { address: Some(ip.parse().unwrap()), head: Some(&head) };
        assert_eq!(
            access(deny, allow).judge(&visitor, &geo),
            expect,
            "{deny:?} {allow:?} {ip} {agents:?}"
        );
    }
}

#[test]
fn who_is_unknown_is_in_no_entry() {
    let nobody = Visitor { address: None, head: None };
    let names = ["0.0.0.0/0", "country DE", "asn 64496", "list evil"];
    let geo = geo();
    assert_eq!(access(&names, &[]).judge(&nobody, &geo), Verdict::Pass { by: None });
    assert_eq!(access(&[], &names).judge(&nobody, &geo), Verdict::NotAllowed);
    let visitor = Visitor { address: Some("192.0.2.1".parse().unwrap()), head: None };
    let none = Geo::default();
    assert_eq!(access(&names[1..], &[]).judge(&visitor, &none), Verdict::Pass { by: None });
    assert_eq!(access(&[], &names[1..]).judge(&visitor, &none), Verdict::NotAllowed);
}

#[test]
fn what_is_needed_and_what_is_told() {
    assert!(Access::default().is_empty());
    assert!(access(&[], &["country DE"]).needs_countries());
    assert!(access(&["asn 1"], &["192.0.2.1"]).needs_networks());
    assert!(!access(&["192.0.2.1"], &["list evil"]).needs_countries());
    assert_eq!(Verdict::Denied { by: "country DE" }.to_string(), "denied by `country DE`");
    assert_eq!(Verdict::NotAllowed.to_string(), "nothing allows it");
}

proptest! {
    #[test]
    fn deny_wins_and_allow_shuts_out(deny in any::<[bool; 3]>(), allow in any::<[bool; 3]>(), last in 0_u8..4) {
        let names = ["192.0.2.0", "192.0.2.0/31", "192.0.2.2"];
        let holds = [last == 0, last < 2, last == 2];
        let chosen = |flags: [bool; 3]| (0..3).filter(|&n| flags[n]).map(|n| names[n]).collect::<Vec<_>>();
        let first = |flags: [bool; 3]| (0..3).find(|&n| flags[n] && holds[n]).map(|n| names[n]);
        let visitor = Visitor { address: Some([192, 0, 2, last].into()), head: None };
        let expect = match (first(deny), first(allow)) {
            (Some(by), _) => Verdict::Denied { by },
            (None, None) if allow.contains(&true) => Verdict::NotAllowed,
            (None, by) => Verdict::Pass { by },
        };
        let access = access(&chosen(deny), &chosen(allow));
        prop_assert_eq!(access.judge(&visitor, &Geo::default()), expect);
    }
}
