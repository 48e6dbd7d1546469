//! Certificates of clients: who is let in, what resumes, and who a client is said to be.

use rcgen::{
    CertificateRevocationListParams, DnValue, ExtendedKeyUsagePurpose, KeyIdMethod,
    RevokedCertParams, SerialNumber,
};
use rustls::CertificateError;

use super::super::client_auth::client_certificate;
use super::*;

/// A date from unix seconds. Its type belongs to a crate that nothing here names.
macro_rules! date {
    ($second:expr) => {
        rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs($second)
    };
}

/// An authority for clients; `revokes` are serial numbers.
struct Clients {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Clients {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn issue(
        &self,
        name: &str,
        serial: u64,
        change: impl Fn(&mut CertificateParams),
    ) -> Arc<Certificate> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.not_before = date!(NOW - DAY);
        params.not_after = date!(NOW + 80 * DAY);
        params.serial_number = Some(SerialNumber::from(serial));
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        let key = key.serialize_pem();
        let chain = PemFile { path: Path::new("client.pem"), bytes: chain.as_bytes() };
        let key = PemFile { path: Path::new("client.key"), bytes: key.as_bytes() };
        Arc::new(Certificate::from_pem(chain, key).unwrap())
    }

    fn list(&self, revoked: &[u64], next_update: u64) -> String {
        let params = CertificateRevocationListParams {
            this_update: date!(NOW - 10 * DAY),
            next_update: date!(next_update),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked
                .iter()
                .map(|serial| RevokedCertParams {
                    serial_number: SerialNumber::from(*serial),
                    revocation_time: date!(NOW - 5 * DAY),
                    reason_code: None,
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    fn rules(&self, mode: ClientAuthMode, list: Option<&str>) -> SiteClients {
        self.rules_of("site", mode, list)
    }

    fn rules_of(&self, site: &str, mode: ClientAuthMode, list: Option<&str>) -> SiteClients {
        let pem =
            |path, text: &'static str| PemFile { path: Path::new(path), bytes: text.as_bytes() };
        let authorities = pem("ca.pem", self.pem.clone().leak());
        let list = list.map(|list| pem("crl.pem", list.to_owned().leak()));
        let auth = ClientAuth::from_pem(mode, authorities, list).unwrap();
        SiteClients::new(site, Arc::new(auth))
    }
}

struct Rig {
    clock: Arc<TestClock>,
    tickets: Arc<TicketKeys>,
    table: Arc<Certificates>,
}

impl Rig {
    fn new() -> Self {
        let clock = clock();
        let names = ["a.example", "b.example", "x.y.w.example"];
        let table = table(vec![loaded(&certificate(&names))], vec![], &clock);
        Self { tickets: TicketKeys::new(clock.clone()).unwrap(), table, clock }
    }

    fn server(&self, clients: Option<SiteClients>) -> ServerTls {
        let options = ServerTlsOptions { clients, ..options("test", &self.clock) };
        ServerTls::new(options, Arc::clone(&self.table), &self.tickets).unwrap()
    }

    fn client(&self, identity: Option<&Arc<Certificate>>) -> Arc<ClientConfig> {
        let mut options = client_options(&self.clock);
        options.identity = identity.cloned();
        Arc::clone(ClientTls::new(options).unwrap().config())
    }

    /// What the server says of the client's certificate: nothing is well.
    fn refusal(&self, server: &ServerTls, identity: Option<&Arc<Certificate>>) -> Option<Error> {
        let made = handshake(&self.client(identity), "a.example", server.config());
        made.err().map(|failed| failed.server.expect("it is the server that refuses"))
    }
}

fn bad(error: CertificateError) -> Option<Error> {
    Some(Error::InvalidCertificate(error))
}

/// SET-04.
#[test]
fn who_is_let_in() {
    let rig = Rig::new();
    let (ours, theirs) = (Clients::new("ours"), Clients::new("theirs"));
    let good = ours.issue("ann", 1, |_| {});
    let revoked = ours.issue("bob", 2, |_| {});
    let expired = ours.issue("eve", 3, |params| params.not_after = date!(NOW - 1));
    let early = ours.issue("eve", 4, |params| params.not_before = date!(NOW + DAY));
    let foreign = theirs.issue("ann", 1, |_| {});
    let server_only = ours.issue("web", 5, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let list = ours.list(&[2], NOW + 30 * DAY);
    for mode in [ClientAuthMode::Require, ClientAuthMode::Optional] {
        let server = rig.server(Some(ours.rules(mode, Some(&list))));
        assert_eq!(rig.refusal(&server, Some(&good)), None, "{mode:?}");
        for identity in [&revoked, &expired, &early, &foreign, &server_only] {
            let refusal = rig.refusal(&server, Some(identity));
            assert!(matches!(refusal, Some(Error::InvalidCertificate(_))), "{mode:?} {refusal:?}");
        }
        assert_eq!(rig.refusal(&server, Some(&revoked)), bad(CertificateError::Revoked));
        let none = rig.refusal(&server, None);
        match mode {
            ClientAuthMode::Require => assert_eq!(none, Some(Error::NoCertificatesPresented)),
            ClientAuthMode::Optional => assert_eq!(none, None),
        }
    }
    // Without a list nobody is revoked; without rules nobody is asked.
    let server = rig.server(Some(ours.rules(ClientAuthMode::Require, None)));
    assert_eq!(rig.refusal(&server, Some(&revoked)), None);
    let server = rig.server(None);
    let pair = handshake(&rig.client(Some(&foreign)), "a.example", server.config()).unwrap();
    assert_eq!(pair.server.peer_certificates(), None);
}

#[test]
fn a_list_that_does_not_count_lets_nobody_in() {
    let rig = Rig::new();
    let (ours, theirs) = (Clients::new("ours"), Clients::new("theirs"));
    let good = ours.issue("ann", 1, |_| {});
    let check = |list: &str| {
        let server = rig.server(Some(ours.rules(ClientAuthMode::Require, Some(list))));
        let refusal = rig.refusal(&server, Some(&good));
        assert!(matches!(refusal, Some(Error::InvalidCertificate(_))), "{refusal:?}");
    };
    check(&ours.list(&[], NOW - 1));
    check(&theirs.list(&[], NOW + DAY));
    let rules = ours.rules(ClientAuthMode::Require, Some(&ours.list(&[], NOW + DAY)));
    let warnings = rules.auth.warnings(NOW);
    assert_eq!(warnings, [ClientAuthWarning::List { index: 0, next_update: NOW + DAY }]);
    let lasting = ours.rules(ClientAuthMode::Require, Some(&ours.list(&[], NOW + 30 * DAY)));
    assert_eq!(lasting.auth.warnings(NOW), []);
}

#[test]
fn files_that_cannot_be_used() {
    let ours = Clients::new("ours");
    let leaf = leaf_pem(&["a.example"], &ECDSA_KEY, life());
    let check = |authorities: &str, list: Option<&str>, expect: &str| {
        let file = |path, text: &str| PemFile {
            path: Path::new(path),
            bytes: text.to_owned().leak().as_bytes(),
        };
        let list = list.map(|list| file("crl.pem", list));
        let made =
            ClientAuth::from_pem(ClientAuthMode::Optional, file("ca.pem", authorities), list);
        let error = made.expect_err(expect).to_string();
        assert!(error.contains(expect), "{error}");
    };
    check("", None, "ca.pem: no certificate in it");
    check(&leaf, None, "ca.pem: certificate 1 does not parse: it is not the certificate of an");
    check(&format!("{}{leaf}", ours.pem), None, "ca.pem: certificate 2");
    check(&ours.pem, Some(""), "crl.pem: no revocation list");
    check(&ours.pem, Some(&ours.pem), "crl.pem: no revocation list");
    let damaged = ours.list(&[], NOW).replace("MI", "AA");
    check(&ours.pem, Some(&damaged), "crl.pem: ");
    let missing = ClientAuth::load(ClientAuthMode::Optional, Path::new("/nowhere/ca.pem"), None);
    assert_eq!(missing.expect_err("no file").to_string(), "/nowhere/ca.pem: no such file");
}

#[test]
fn sessions_stay_with_the_rules_they_began_under() {
    let ours = Clients::new("ours");
    let good = ours.issue("ann", 1, |_| {});
    let before = ours.list(&[7], NOW + 30 * DAY);
    let after = ours.list(&[1, 7], NOW + 30 * DAY);
    let require = |list| Some(ours.rules(ClientAuthMode::Require, Some(list)));
    let changes = [
        (require(&before), true),
        (require(&after), false),
        (Some(ours.rules(ClientAuthMode::Require, None)), false),
        (Some(ours.rules(ClientAuthMode::Optional, Some(&before))), false),
        (Some(ours.rules_of("other", ClientAuthMode::Require, Some(&before))), false),
        (None, false),
    ];
    for (rules, resumes) in changes {
        let rig = Rig::new();
        let client = rig.client(Some(&good));
        let server = rig.server(require(&before));
        assert!(!handshake(&client, "a.example", server.config()).unwrap().resumed());
        let again = handshake(&client, "a.example", server.config()).unwrap();
        assert!(again.resumed());
        assert_eq!(again.server.peer_certificates().map(<[_]>::len), Some(1));
        let changed = rig.server(rules);
        let resumed = handshake(&client, "a.example", changed.config()).is_ok_and(|p| p.resumed());
        assert_eq!(resumed, resumes);
    }
}

#[test]
fn a_chain_is_judged_again() {
    let ours = Clients::new("ours");
    let good = ours.issue("ann", 1, |_| {});
    let shown = client_certificate(&good.certified().cert).unwrap();
    let mode = ClientAuthMode::Require;
    let check = |rules: &SiteClients, now, expect| {
        assert_eq!(rules.auth.accepts(&shown, now), expect);
    };
    let plain = ours.rules(mode, None);
    check(&plain, NOW, true);
    check(&plain, NOW + 81 * DAY, false);
    check(&ours.rules(mode, Some(&ours.list(&[2], NOW + DAY))), NOW, true);
    check(&ours.rules(mode, Some(&ours.list(&[1], NOW + DAY))), NOW, false);
    check(&Clients::new("theirs").rules(mode, None), NOW, false);
}

#[test]
fn each_name_has_its_own_rules() {
    let rig = Rig::new();
    let ours = Clients::new("ours");
    let site = |clients| SiteTlsOptions {
        minimum: MinimumVersion::Tls12,
        alpn: vec![],
        policy: TlsPolicy::default(),
        clients,
        early_data: None,
    };
    let rules = |name: &str| Some(ours.rules_of(name, ClientAuthMode::Require, None));
    let tls = rig.server(None);
    let tls = tls.with_site(&[name("a.example")], site(rules("a"))).unwrap();
    let tls = tls.with_site(&[name("*.example")], site(rules("wide"))).unwrap();
    let tls = tls.with_site(&[name("*.w.example")], site(rules("narrow"))).unwrap();
    let tls = tls.with_site(&[name("192.0.2.1")], site(rules("address"))).unwrap();
    let check = |asked: Option<&str>, expect: Option<&str>| {
        let found = tls.rules_for(asked).map(|clients| clients.rules.site);
        let expect = expect.and_then(rules).map(|clients| clients.rules.site);
        assert_eq!(found, expect, "{asked:?}");
    };
    check(Some("a.example"), Some("a"));
    check(Some("A.EXAMPLE."), Some("a"));
    check(Some("b.example"), Some("wide"));
    // As requests find their site: any depth, the longest first.
    check(Some("x.b.example"), Some("wide"));
    check(Some("x.y.w.example"), Some("narrow"));
    check(Some("w.example"), Some("wide"));
    check(Some("example"), None);
    check(Some("a.test"), None);
    check(None, Some("address"));
}

#[test]
fn who_a_client_is_said_to_be() {
    let ours = Clients::new("ours, Inc.");
    let made = ours.issue("ann\r\nX-Admin: 1, CN=root", 0x00AB_CDEF, |params| {
        params.distinguished_name.push(DnType::OrganizationalUnitName, "a+b");
        params
            .distinguished_name
            .push(DnType::CountryName, DnValue::PrintableString("DE".try_into().unwrap()));
        params.distinguished_name.push(DnType::CustomDnType(vec![1, 2, 3, 4]), "x");
    });
    let client = client_certificate(&made.certified().cert).unwrap();
    assert_eq!(
        &*client.subject,
        "1.2.3.4=#0c0178,C=DE,OU=a\\+b,CN=ann\\0d\\0aX-Admin: 1\\, CN\\=root"
    );
    assert_eq!(&*client.issuer, "CN=ours\\, Inc.");
    assert_eq!(&*client.serial, "00abcdef");
    assert_eq!(client.fingerprint.len(), 64);
    assert_eq!(client_certificate(&[]).ok(), None);
    let long = ours.issue(&"n".repeat(5000), 1, |_| {});
    assert!(client_certificate(&long.certified().cert).is_err());
    let many = vec![made.certified().cert[0].clone(); 60];
    assert!(client_certificate(&many).is_err());
}
