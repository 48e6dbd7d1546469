//! The local authority on disk, its leaves in handshakes, and their renewal.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::super::leaf::GENERATION_MAX;
use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A client that believes only this authority.
fn believer(authority: &LocalCa, clock: &Arc<TestClock>) -> Arc<ClientConfig> {
    let mut options = client_options(clock);
    let path = PathBuf::from("root.pem");
    options.roots = Roots::Pem { path, bytes: authority.root_pem().as_bytes().to_vec() };
    Arc::clone(ClientTls::new(options).unwrap().config())
}

#[test]
fn an_authority_is_made_once_and_opened_again() {
    let folder = Folder::new();
    // Directories above are made too.
    let data = folder.0.join("var/lib");
    let made = LocalCa::open_or_create(&data, NOW).unwrap();
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("ca")), 0o700);
    assert_eq!(mode(&data.join("ca/root.key")), 0o600);
    let names: Vec<_> =
        fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["ca"], "nothing is left over");
    assert_eq!(made.root_not_after(), NOW + 3650 * DAY);

    let opened = LocalCa::open_or_create(&data, NOW + DAY).unwrap();
    assert_eq!(made.root_pem(), opened.root_pem());
    // A leaf of one is believed by who trusts the other.
    let clock = clock();
    let source =
        CertificateSource::Local { authority: Arc::new(opened), names: vec![name("app.internal")] };
    let tls = server(&table(vec![source], vec![], &clock), &clock);
    handshake(&believer(&made, &clock), "app.internal", tls.config()).unwrap();
    let stranger = LocalCa::open_or_create(&folder.0.join("other"), NOW).unwrap();
    assert_ne!(stranger.root_pem(), made.root_pem());
    assert!(handshake(&believer(&stranger, &clock), "app.internal", tls.config()).is_err());
}

#[test]
fn damaged_authorities_are_errors_and_stay_as_they_are() {
    let sound = Folder::new();
    LocalCa::open_or_create(&sound.0, NOW).unwrap();
    let root = fs::read(sound.0.join("ca/root.pem")).unwrap();
    let key = fs::read(sound.0.join("ca/root.key")).unwrap();
    let other_key = KeyPair::generate().unwrap().serialize_pem().into_bytes();
    let leaf = leaf_pem(&["a.example"], &ECDSA_KEY, life()).into_bytes();

    let check = |root: Option<&[u8]>, key: Option<&[u8]>, now: u64, file: &str, words: &str| {
        let folder = Folder::new();
        let home = folder.0.join("ca");
        fs::create_dir(&home).unwrap();
        for (file, bytes) in [("root.pem", root), ("root.key", key)] {
            if let Some(bytes) = bytes {
                fs::write(home.join(file), bytes).unwrap();
                fs::set_permissions(home.join(file), Permissions::from_mode(0o600)).unwrap();
            }
        }
        let error = LocalCa::open_or_create(&folder.0, now).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: ", home.join(file).display())), "{error}");
        assert!(error.contains(words), "{error}");
        for (file, bytes) in [("root.pem", root), ("root.key", key)] {
            assert_eq!(fs::read(home.join(file)).ok().as_deref(), bytes, "{error}");
        }
    };
    let (sound_root, sound_key) = (root.as_slice(), key.as_slice());
    check(None, Some(sound_key), NOW, "root.pem", "missing");
    check(Some(sound_root), None, NOW, "root.key", "missing");
    check(Some(b""), Some(sound_key), NOW, "root.pem", "no certificate");
    check(Some(&root[..root.len() / 2]), Some(sound_key), NOW, "root.pem", "damaged PEM");
    check(Some(sound_root), Some(b""), NOW, "root.key", "cannot be used");
    check(Some(sound_root), Some(&[0xff, 0xfe]), NOW, "root.key", "cannot be used");
    check(Some(sound_root), Some(&key[..60]), NOW, "root.key", "cannot be used");
    check(Some(sound_root), Some(&other_key), NOW, "root.key", "does not match");
    check(
        Some(&[root.clone(), root.clone()].concat()),
        Some(sound_key),
        NOW,
        "root.pem",
        "more than one",
    );
    let leaf_key = ECDSA_KEY.serialize_pem().into_bytes();
    check(Some(&leaf), Some(&leaf_key), NOW, "root.pem", "not the certificate of an authority");
    check(Some(sound_root), Some(sound_key), NOW + 3650 * DAY, "root.pem", "expired");
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let folder = Folder::new();
    LocalCa::open_or_create(&folder.0, NOW).unwrap();
    let key = folder.0.join("ca/root.key");
    for bits in [0o640, 0o604, 0o660, 0o644] {
        fs::set_permissions(&key, Permissions::from_mode(bits)).unwrap();
        let error = LocalCa::open_or_create(&folder.0, NOW).unwrap_err();
        assert_eq!(error, LocalCaError::KeyOpenToOthers { file: key.clone(), mode: bits });
    }
    fs::set_permissions(&key, Permissions::from_mode(0o400)).unwrap();
    LocalCa::open_or_create(&folder.0, NOW).unwrap();
}

#[test]
fn an_occupied_place_is_not_replaced() {
    let folder = Folder::new();
    fs::create_dir(folder.0.join("ca")).unwrap();
    fs::write(folder.0.join("ca/notes.txt"), "mine").unwrap();
    assert!(LocalCa::open_or_create(&folder.0, NOW).is_err());
    assert_eq!(fs::read(folder.0.join("ca/notes.txt")).unwrap(), b"mine");
    let names: Vec<_> =
        fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["ca"], "nothing is left over");
    let file = Folder::new();
    fs::write(file.0.join("plain"), "").unwrap();
    assert!(LocalCa::open_or_create(&file.0.join("plain"), NOW).is_err());
}

#[test]
fn two_processes_that_start_at_once_share_one_authority() {
    let folder = Folder::new();
    let roots: Vec<String> = std::thread::scope(|scope| {
        let open = || LocalCa::open_or_create(&folder.0, NOW).unwrap().root_pem().to_owned();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(roots.iter().all(|root| *root == roots[0]));
}

#[test]
fn leaves_live_a_week_and_never_longer_than_the_root() {
    let folder = Folder::new();
    let authority = LocalCa::open_or_create(&folder.0, NOW).unwrap();
    let names = [name("a.internal"), name("*.b.internal"), name("192.0.2.1"), name("::1")];
    let check = |now: u64, not_after: u64, renew: u64| {
        let leaf = authority.leaf(&names, now).unwrap();
        assert_eq!((leaf.issued, leaf.not_after, leaf.renew), (now, not_after, renew));
        let (_, parsed) = x509_parser::parse_x509_certificate(&leaf.certified.cert[0]).unwrap();
        let validity = parsed.validity();
        assert_eq!(validity.not_before.timestamp(), i64::try_from(now - 3600).unwrap());
        assert_eq!(validity.not_after.timestamp(), i64::try_from(not_after).unwrap());
        assert!(!parsed.is_ca());
        let held = &parsed.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert_eq!(held.len(), names.len());
        assert!(leaf.is_fresh(now) && leaf.is_fresh(renew - 1));
        assert!(!leaf.is_fresh(renew) && !leaf.is_fresh(now - 3601));
    };
    check(NOW, NOW + 7 * DAY, NOW + 7 * DAY / 3 * 2);
    let end = authority.root_not_after();
    check(end - 3 * DAY, end, end - DAY);
    assert!(matches!(authority.leaf(&names, end), Err(LocalCaError::Issue(_))));
    assert_eq!(authority.leaf(&[], NOW).err(), Some(LocalCaError::Names { given: 0 }));
    let many = vec![name("a.internal"); 101];
    assert_eq!(authority.leaf(&many, NOW).err(), Some(LocalCaError::Names { given: 101 }));
    let (first, second) =
        (authority.leaf(&names, NOW).unwrap(), authority.leaf(&names, NOW).unwrap());
    let serial = |leaf: &Leaf| {
        x509_parser::parse_x509_certificate(&leaf.certified.cert[0])
            .unwrap()
            .1
            .raw_serial()
            .to_vec()
    };
    assert_ne!(serial(&first), serial(&second));
}

#[test]
fn sites_get_leaves_that_are_renewed_in_passing() {
    let folder = Folder::new();
    let clock = clock();
    let authority = Arc::new(LocalCa::open_or_create(&folder.0, NOW).unwrap());
    let names = ["app.internal", "*.dev.internal", "127.0.0.1", "::1"].map(name).to_vec();
    let source = CertificateSource::Local { authority: Arc::clone(&authority), names };
    let tls = server(&table(vec![source], vec![], &clock), &clock);
    let shown = |host: &str| {
        // A client of its own each time, so that nothing resumes; it checks name, root and time.
        let pair = handshake(&believer(&authority, &clock), host, tls.config()).unwrap();
        pair.shown().clone()
    };
    let hosts = ["app.internal", "x.dev.internal", "127.0.0.1", "::1"];
    let first = hosts.map(shown);
    assert_eq!(hosts.map(shown), first, "kept while young");
    assert_eq!(shown("y.dev.internal"), first[1], "one for the wildcard");
    assert_eq!(first[2], first[3], "one for all addresses");
    assert_ne!(first[0], first[2]);
    clock.set(NOW + 7 * DAY / 3 * 2 - 1);
    assert_eq!(hosts.map(shown), first, "kept until two thirds");
    clock.advance(1);
    let second = hosts.map(shown);
    for (new, old) in second.iter().zip(&first) {
        assert_ne!(new, old, "renewed at two thirds");
    }
    clock.advance(300 * DAY);
    assert_ne!(shown("127.0.0.1"), second[2]);
    let late = shown("app.internal");
    // A clock set far back: the leaf at hand is not valid yet.
    clock.set(NOW);
    assert_ne!(shown("app.internal"), late);
    for host in ["other.internal", "dev.internal", "a.b.dev.internal"] {
        assert!(handshake(&believer(&authority, &clock), host, tls.config()).is_err(), "{host}");
    }
    let served = tls.certificates().describe(Some("Z.dev.internal.")).unwrap();
    assert_eq!((served.by, served.local), (ServedBy::Wildcard, vec![name("*.dev.internal")]));
    assert_eq!(tls.certificates().expiries().count(), 0);
}

#[test]
fn more_addresses_than_fit_leave_the_first_hundred() {
    let folder = Folder::new();
    let clock = clock();
    let authority = Arc::new(LocalCa::open_or_create(&folder.0, NOW).unwrap());
    let names = (0..=255).rev().map(|n| name(&format!("192.0.2.{n}"))).collect();
    let source = CertificateSource::Local { authority: Arc::clone(&authority), names };
    let tls = server(&table(vec![source], vec![], &clock), &clock);
    let client = believer(&authority, &clock);
    assert!(handshake(&client, "192.0.2.99", tls.config()).is_ok());
    assert!(handshake(&client, "192.0.2.100", tls.config()).is_err());
}

#[test]
fn loaded_certificates_go_before_local_ones() {
    let folder = Folder::new();
    let clock = clock();
    let authority = Arc::new(LocalCa::open_or_create(&folder.0, NOW).unwrap());
    let loaded_one = certificate(&["a.internal", "*.b.internal", "192.0.2.1"]);
    let local = CertificateSource::Local {
        authority,
        names: ["a.internal", "*.b.internal", "192.0.2.1"].map(name).to_vec(),
    };
    for sources in [vec![loaded(&loaded_one), local.clone()], vec![local, loaded(&loaded_one)]] {
        let table = table(sources, vec![], &clock);
        for host in [Some("a.internal"), Some("x.b.internal"), None] {
            assert_eq!(table.describe(host).unwrap().certificates.len(), 1, "{host:?}");
        }
    }
}

#[test]
fn any_host_is_served_as_far_as_allowed_and_bounded() {
    let folder = Folder::new();
    let clock = clock();
    let authority = Arc::new(LocalCa::open_or_create(&folder.0, NOW).unwrap());
    let site = certificate(&["site.example"]);
    let source = CertificateSource::LocalAny {
        authority: Arc::clone(&authority),
        allow: Arc::new(|host| host.ends_with(".test")),
        addresses: vec!["127.0.0.1".parse().unwrap()],
    };
    let table = table(vec![loaded(&site), source], vec![], &clock);
    let tls = server(&table, &clock);
    let shown = |host: &str| {
        let client = believer(&authority, &clock);
        handshake(&client, host, tls.config()).ok().map(|pair| pair.shown().clone())
    };
    let first = shown("a.test");
    assert!(first.is_some());
    assert_eq!(shown("A.TEST."), first, "kept");
    assert_ne!(shown("b.test"), first, "each name its own");
    assert!(shown("127.0.0.1").is_some());
    for refused in ["a.example", "test", "a.test.example"] {
        assert_eq!(shown(refused), None, "{refused}");
    }
    let scheme = [rustls::SignatureScheme::ECDSA_NISTP256_SHA256];
    for odd in ["a b.test", "..test", "-.test", "*.test", "127.0.0.1"] {
        assert!(table.choose(Some(odd), &scheme).is_none(), "{odd}");
    }
    assert_eq!(table.describe(Some("q.test")).unwrap().by, ServedBy::OnDemand);
    assert_eq!(table.describe(Some("site.example")).unwrap().by, ServedBy::Exact);
    assert_eq!(table.describe(Some("x.example")).map(|served| served.by), None);

    // A flood of names: the cache stays bounded, and a name in use stays in it.
    let kept = table.choose(Some("a.test"), &scheme).unwrap();
    for n in 0..3 * GENERATION_MAX {
        table.choose(Some(&format!("flood-{n}.test")), &scheme).unwrap();
        assert!(table.cached() <= 2 * GENERATION_MAX);
        if n % 100 == 0 {
            let again = table.choose(Some("a.test"), &scheme).unwrap();
            assert!(Arc::ptr_eq(&again, &kept), "{n}");
        }
    }
    // Renewal.
    clock.advance(5 * DAY);
    let renewed = table.choose(Some("a.test"), &scheme).unwrap();
    assert!(!Arc::ptr_eq(&renewed, &kept));
}

#[test]
fn the_root_is_one_certificate_in_pem() {
    let folder = Folder::new();
    let authority = LocalCa::open_or_create(&folder.0, NOW).unwrap();
    let roots: Vec<_> = CertificateDer::pem_slice_iter(authority.root_pem().as_bytes()).collect();
    assert_eq!(roots.len(), 1);
    assert!(!authority.root_pem().contains("PRIVATE"));
    assert!(!format!("{authority:?}").contains("PRIVATE"));
}
