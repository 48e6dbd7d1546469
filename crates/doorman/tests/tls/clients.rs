//! Certificates of clients: over every wire, for each site and route, through a reload, and towards origins.

use doorman_testkit::h2::H2;
use doorman_testkit::raw::Raw;
use doorman_testkit::tls::Authority;
use rustix::process::Signal;

use crate::rig::{House, Said, client};

const SITES: &str = "
policy told {
    client-cert rfc9440
    request-header set X-Client-Name {client-cert-subject}
    request-header set X-Client-Print {client-cert-fingerprint}
}
site https://must.test:@PORT {
    tls internal { client-auth require ca clients.pem crl crl.pem }
    use told
    proxy @ORIGIN
}
site https://may.test:@PORT {
    tls internal { client-auth optional ca clients.pem crl crl.pem }
    use told
    route /only { mtls; proxy @ORIGIN }
    route * { proxy @ORIGIN }
}
site https://open.test:@PORT { tls internal; proxy @ORIGIN }
site https://*.deep.test:@PORT {
    tls internal { client-auth require ca clients.pem }
    proxy @ORIGIN
}";

fn status(said: &Option<Said>) -> Option<u16> {
    said.as_ref().map(|said| said.status)
}

/// SET-04, over HTTP/1.1, HTTP/2 and HTTP/3.
#[test]
fn who_is_let_in_where() {
    let house = House::start(SITES);
    let ann = house.authority.client("ann", 1, 30);
    let revoked = house.authority.client("bob", 7, 30);
    let expired = house.authority.client("eve", 3, -1);
    let foreign = Authority::new().client("ann", 1, 30);
    let check = |name: &str, identity, path: &str, expect: Option<u16>| {
        let said = house.everywhere(&client(name, identity), name, path);
        assert_eq!(said.each_ref().map(status), [expect; 3], "{name}{path}: {said:?}");
    };
    check("must.test", Some(&ann), "/", Some(200));
    check("may.test", Some(&ann), "/", Some(200));
    check("may.test", Some(&ann), "/only", Some(200));
    check("may.test", None, "/", Some(200));
    check("may.test", None, "/only", Some(403));
    check("open.test", None, "/", Some(200));
    check("a.deep.test", Some(&ann), "/", Some(200));
    check("must.test", None, "/", None);
    check("a.deep.test", None, "/", None);
    for identity in [&revoked, &expired, &foreign] {
        check("must.test", Some(identity), "/", None);
        check("may.test", Some(identity), "/", None);
        // Nobody asks for it there.
        check("open.test", Some(identity), "/", Some(200));
    }
    let series = format!(
        "doorman_connections_failed_total{{listener=\"{}\",reason=\"client-certificate\"}}",
        house.address
    );
    // Eight refusals over three wires each.
    assert_eq!(house.metric(&series), 24);
}

/// SEA-16: whoever asks for another host than the handshake's gets in only where the same was checked.
#[test]
fn a_connection_is_good_for_sites_with_the_same_rules() {
    let house = House::start(SITES);
    let ann = house.authority.client("ann", 1, 30);
    let check = |name: &str, identity, host: &str, expect: u16| {
        let said = house.everywhere(&client(name, identity), host, "/");
        assert_eq!(said.each_ref().map(status), [Some(expect); 3], "{name} for {host}: {said:?}");
        assert!(said.iter().flatten().all(|said| expect == 200 || !said.text.contains("host: ")));
    };
    check("open.test", None, "must.test", 421);
    check("open.test", None, "may.test", 421);
    check("open.test", None, "x.deep.test", 421);
    check("may.test", None, "must.test", 421);
    check("may.test", Some(&ann), "must.test", 421);
    check("must.test", Some(&ann), "may.test", 421);
    check("must.test", Some(&ann), "open.test", 421);
    check("must.test", Some(&ann), "x.deep.test", 421);
    check("a.deep.test", Some(&ann), "b.c.deep.test", 200);
    // One connection serves on after a 421.
    let mut h2 = H2::connect_tls(house.address, &client("open.test", None).offering(&["h2"]))
        .expect("a connection");
    let mut get = |host: &str| h2.get(&house.uri(host, "/")).expect("an answer").status;
    assert_eq!([get("open.test"), get("must.test"), get("open.test")], [200, 421, 200]);
    let line = house.process.wait_for_words("\"status\":421");
    assert!(line.contains("\"end\":\"misdirected\""), "{line}");
}

/// SEA-10, SEA-11: what a client says of itself never reaches an origin, whatever site it goes through.
#[test]
fn identities_are_passed_on_and_cannot_be_forged() {
    let house = House::start(SITES);
    let ann = house.authority.client("ann", 1, 30);
    let forged = "Client-Cert: :Zm9v:\r\nclient_cert: :Zm9v:\r\nClient-Cert-Chain: :Zm9v:\r\n\
                  X-Client-Name: CN=root\r\nx_client_name: CN=root\r\nX-Client-Print: 00\r\n";
    for (name, identity) in [
        ("must.test", Some(&ann)),
        ("may.test", Some(&ann)),
        ("may.test", None),
        ("open.test", None),
    ] {
        let said = house.h1(&client(name, identity), name, "/", forged).expect("an answer");
        assert_eq!(said.status, 200);
        for lie in ["Zm9v", "root", "x_client_name", "client_cert", "Print: 00"] {
            assert!(!said.text.contains(lie), "{name}: {lie} in {}", said.text);
        }
        let told = name != "open.test";
        let subject = identity.map_or("", |_| "CN=ann");
        assert_eq!(said.sent("x-client-name"), told.then_some(subject), "{}", said.text);
        let cert = said.sent("client-cert");
        assert_eq!(cert.is_some(), identity.is_some());
        assert_eq!(said.sent("client-cert-chain"), None);
        if let (Some(cert), Some(identity)) = (cert, identity) {
            let der: String =
                identity.certificate_pem.lines().filter(|l| !l.starts_with('-')).collect();
            assert_eq!(cert, format!(":{der}:"));
            assert_eq!(said.sent("x-client-print").map(str::len), Some(64));
        }
    }
    let line = house.process.wait_for_words("\"site\":\"https://must.test");
    assert!(line.contains("\"client_cert\":\"CN=ann\""), "{line}");
    // The rest of a chain goes into a field of its own.
    let mut whole = ann.clone();
    whole.certificate_pem.push_str(house.authority.pem());
    let said = house.h1(&client("must.test", Some(&whole)), "must.test", "/", forged);
    let said = said.expect("an answer");
    assert!(
        said.sent("client-cert-chain").is_some_and(|chain| chain.starts_with(":MI")),
        "{said:?}"
    );
}

/// A list that is renewed under open connections: who is on it gets no further, everybody else goes on.
#[test]
fn a_new_list_counts_for_open_connections() {
    let house = House::start(SITES);
    let ann = house.authority.client("ann", 1, 30);
    let bob = house.authority.client("bob", 2, 30);
    let connect = |identity| {
        let mut raw = Raw::connect_tls(house.address, &client("must.test", Some(identity)))
            .expect("a connection");
        let said = house.ask(&mut raw, "must.test", "/", "");
        assert_eq!(status(&said), Some(200));
        raw
    };
    let (mut of_ann, mut of_bob) = (connect(&ann), connect(&bob));
    house.replace("crl.pem", &house.authority.revoking(&[2, 7]));
    house.process.signal(Signal::HUP).expect("our own child");
    let _ = house.process.wait_for_words("configuration 2 is in force");
    // Each core follows in its own time: what is new there is told by a handshake that fails.
    let mut refused = 0;
    while refused < 20 {
        let said = house.h1(&client("must.test", Some(&bob)), "must.test", "/", "");
        refused = if said.is_none() { refused + 1 } else { 0 };
    }
    for _ in 0..2 {
        assert_eq!(status(&house.ask(&mut of_ann, "must.test", "/", "")), Some(200));
        assert_eq!(status(&house.ask(&mut of_bob, "must.test", "/", "")), Some(421));
    }
}

/// Who has shown a certificate is known by its subject, in limits too.
#[test]
fn limits_count_by_whom_a_certificate_names() {
    let house = House::start(
        "site https://must.test:@PORT {
            tls internal { client-auth require ca clients.pem crl crl.pem }
            limit 3/h burst 3 per user name own
            proxy @ORIGIN
        }",
    );
    let [ann, zoe] =
        [("ann", 1), ("zoe", 2)].map(|(name, serial)| house.authority.client(name, serial, 30));
    let ask = |who| house.everywhere(&client("must.test", Some(who)), "must.test", "/");
    // Three wires, one count.
    assert_eq!(ask(&ann).each_ref().map(status), [Some(200); 3]);
    assert_eq!(ask(&ann).each_ref().map(status), [Some(429); 3]);
    assert_eq!(ask(&zoe).each_ref().map(status), [Some(200); 3]);
}
