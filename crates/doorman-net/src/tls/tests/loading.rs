//! What loads, what does not, and which file is blamed.

use super::*;

/// A PEM section around DER.
fn pem(label: &str, der: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in der.chunks(3) {
        let bits = chunk.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let symbol = ALPHABET[bits >> (18 - 6 * place) & 63];
            text.push(if place <= chunk.len() { char::from(symbol) } else { '=' });
        }
    }
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The key inside a PKCS#8 key: SEC1 for ECDSA, PKCS#1 for RSA. SEQUENCE { INTEGER, SEQUENCE, OCTET STRING }.
fn inner_key(pkcs8: &[u8]) -> Vec<u8> {
    fn element(der: &[u8]) -> (&[u8], &[u8]) {
        let (length, head) = match der[1] {
            short @ 0..=127 => (usize::from(short), 2),
            0x81 => (usize::from(der[2]), 3),
            0x82 => (usize::from(der[2]) << 8 | usize::from(der[3]), 4),
            other => panic!("length {other:#x}"),
        };
        (&der[head..head + length], &der[head + length..])
    }
    let (body, _) = element(pkcs8);
    let (_, after_version) = element(body);
    let (_, after_algorithm) = element(after_version);
    element(after_algorithm).0.to_vec()
}

fn load(chain: &[u8], key: &[u8]) -> Result<Certificate, LoadError> {
    Certificate::from_pem(
        PemFile { path: Path::new("chain.pem"), bytes: chain },
        PemFile { path: Path::new("key.pem"), bytes: key },
    )
}

#[test]
fn keys_of_every_form_load() {
    let ecdsa = leaf_pem(&["a.example"], &ECDSA_KEY, life());
    let rsa = leaf_pem(&["a.example"], &RSA_KEY, life());
    let ed25519_key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let ed25519 = leaf_pem(&["a.example"], &ed25519_key, life());
    let p384_key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let p384 = leaf_pem(&["a.example"], &p384_key, life());
    let check = |chain: &str, key: String, kind: KeyKind| {
        let loaded = load(chain.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(loaded.facts().key, kind);
        assert_eq!(loaded.facts().names, [name("a.example")]);
        assert_eq!(loaded.facts().not_after, NOW + 80 * DAY);
        assert_eq!(loaded.warnings(&[], NOW), []);
    };
    let (ecdsa_der, rsa_der) = (ECDSA_KEY.serialize_der(), RSA_KEY.serialize_der());
    check(&ecdsa, pem("PRIVATE KEY", &ecdsa_der), KeyKind::Ecdsa);
    check(&ecdsa, pem("EC PRIVATE KEY", &inner_key(&ecdsa_der)), KeyKind::Ecdsa);
    check(&p384, p384_key.serialize_pem(), KeyKind::Ecdsa);
    check(&rsa, pem("PRIVATE KEY", &rsa_der), KeyKind::Rsa);
    check(&rsa, pem("RSA PRIVATE KEY", &inner_key(&rsa_der)), KeyKind::Rsa);
    check(&ed25519, ed25519_key.serialize_pem(), KeyKind::Ed25519);
    // As OpenSSL writes it, with the curve before the key, and all in one file.
    let parameters = pem("EC PARAMETERS", &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]);
    let joined = format!("{parameters}{}{ecdsa}", pem("PRIVATE KEY", &ecdsa_der));
    check(&joined, joined.clone(), KeyKind::Ecdsa);
    check(&format!("{ecdsa}{}", AUTHORITY.pem), pem("PRIVATE KEY", &ecdsa_der), KeyKind::Ecdsa);
    check(&ecdsa.replace('\n', "\r\n"), pem("PRIVATE KEY", &ecdsa_der), KeyKind::Ecdsa);
}

#[test]
fn bad_files_are_blamed_by_name_and_reason() {
    use LoadReason as R;
    let chain = leaf_pem(&["a.example"], &ECDSA_KEY, life());
    let key = ECDSA_KEY.serialize_pem();
    let other = KeyPair::generate().unwrap();
    let check = |chain: &str, key: &str, file: &str, fits: fn(&LoadReason) -> bool| {
        let error = load(chain.as_bytes(), key.as_bytes()).unwrap_err();
        assert_eq!(error.file, Path::new(file), "{error}");
        assert!(fits(&error.reason), "{error}");
        assert!(error.to_string().starts_with(&format!("{file}: ")));
    };
    check("", &key, "chain.pem", |reason| *reason == R::NoCertificate);
    check("hello", &key, "chain.pem", |reason| *reason == R::NoCertificate);
    check(&key, &key, "chain.pem", |reason| *reason == R::NoCertificate);
    check("0\u{3}", &key, "chain.pem", |reason| *reason == R::NotPem);
    check(&chain.replace("END", "DNE"), &key, "chain.pem", |reason| matches!(reason, R::BadPem(_)));
    check(&chain[..300], &key, "chain.pem", |reason| matches!(reason, R::BadPem(_)));
    let damaged = chain.replacen("MII", "MI!", 1).replacen("MIIB", "MI!B", 1);
    check(&damaged, &key, "chain.pem", |reason| matches!(reason, R::BadPem(_)));
    let empty = pem("CERTIFICATE", b"");
    let is_bad = |reason: &LoadReason| matches!(reason, R::BadCertificate { index: 0, .. });
    check(&empty, &key, "chain.pem", is_bad);
    check(&pem("CERTIFICATE", b"0123456789"), &key, "chain.pem", is_bad);
    check(&format!("{chain}{}", pem("CERTIFICATE", &[0x30, 0])), &key, "chain.pem", |reason| {
        matches!(reason, R::BadCertificate { index: 1, .. })
    });
    check(&chain.repeat(11), &key, "chain.pem", |reason| {
        *reason == R::ChainTooLong { certificates: 11 }
    });
    check(&chain, "", "key.pem", |reason| *reason == R::NoKey);
    check(&chain, &chain, "key.pem", |reason| *reason == R::NoKey);
    check(&chain, "0\u{3}", "key.pem", |reason| *reason == R::NotPem);
    check(&chain, &key[..60], "key.pem", |reason| matches!(reason, R::BadPem(_)));
    let encrypted = key.replace("PRIVATE", "ENCRYPTED PRIVATE");
    check(&chain, &encrypted, "key.pem", |reason| *reason == R::EncryptedKey);
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n\
               AAAA\n-----END RSA PRIVATE KEY-----\n";
    check(&chain, old, "key.pem", |reason| *reason == R::EncryptedKey);
    check(&chain, &pem("PRIVATE KEY", b"\x30\x03abc"), "key.pem", |reason| {
        matches!(reason, R::UnsupportedKey(_))
    });
    check(&chain, &other.serialize_pem(), "key.pem", |reason| *reason == R::KeyMismatch);
    check(&chain, &RSA_KEY.serialize_pem(), "key.pem", |reason| *reason == R::KeyMismatch);
    let reversed = format!("{}{chain}", AUTHORITY.pem);
    check(&reversed, &key, "key.pem", |reason| *reason == R::LeafNotFirst);
}

#[test]
fn no_damage_panics_or_goes_unblamed() {
    let chain = format!("{}{}", leaf_pem(&["a.example"], &ECDSA_KEY, life()), AUTHORITY.pem);
    let key = ECDSA_KEY.serialize_pem();
    let check = |chain: &[u8], key: &[u8]| {
        if let Err(error) = load(chain, key) {
            let file = error.file.to_str().unwrap();
            assert!(["chain.pem", "key.pem"].contains(&file), "{error}");
        }
    };
    for at in 0..chain.len() {
        check(&chain.as_bytes()[..at], key.as_bytes());
        for byte in [b'A', b'/', b'-', b'\n', 0, 0xff] {
            let mut damaged = chain.clone().into_bytes();
            damaged[at] = byte;
            check(&damaged, key.as_bytes());
        }
    }
    for at in 0..key.len() {
        check(chain.as_bytes(), &key.as_bytes()[..at]);
        for byte in [b'A', b'/', b'-', b'\n', 0, 0xff] {
            let mut damaged = key.clone().into_bytes();
            damaged[at] = byte;
            check(chain.as_bytes(), &damaged);
        }
    }
}

#[test]
fn files_are_read_at_the_edge() {
    let folder = Folder::new();
    let path = |file: &str| folder.0.join(file);
    let check = |chain: &str, key: &str, file: &str, fits: fn(&LoadReason) -> bool| {
        let error = Certificate::load(&path(chain), &path(key)).unwrap_err();
        assert_eq!(error.file, path(file));
        assert!(fits(&error.reason), "{error}");
    };
    std::fs::write(path("chain"), leaf_pem(&["a.example"], &ECDSA_KEY, life())).unwrap();
    std::fs::write(path("key"), ECDSA_KEY.serialize_pem()).unwrap();
    std::fs::write(path("huge"), vec![b'\n'; (1 << 20) + 1]).unwrap();
    std::fs::create_dir(path("folder")).unwrap();
    assert!(Certificate::load(&path("chain"), &path("key")).is_ok());
    check("none", "key", "none", |reason| *reason == LoadReason::Missing);
    check("chain", "none", "none", |reason| *reason == LoadReason::Missing);
    check("huge", "key", "huge", |reason| matches!(reason, LoadReason::TooLarge { .. }));
    check("folder", "key", "folder", |reason| matches!(reason, LoadReason::Unreadable(_)));
}

#[test]
fn warnings_name_what_is_suspicious() {
    use CertificateWarning as W;
    let key = ECDSA_KEY.serialize_pem();
    let check = |chain: &str, names: &[&str], now: u64, expect: &[CertificateWarning]| {
        let loaded = load(chain.as_bytes(), key.as_bytes()).unwrap();
        let names: Vec<_> = names.iter().map(|text| name(text)).collect();
        assert_eq!(loaded.warnings(&names, now), expect);
    };
    let (begin, end) = (life().start, life().end);
    let chain = leaf_pem(&["a.example", "*.b.example", "192.0.2.1"], &ECDSA_KEY, life());
    check(&chain, &["A.example", "x.b.example", "*.b.example", "192.0.2.1"], NOW, &[]);
    let uncovered = |text| W::NotCovered(name(text));
    check(
        &chain,
        &["b.example", "x.y.b.example", "*.example", "192.0.2.2"],
        NOW,
        &[
            uncovered("b.example"),
            uncovered("x.y.b.example"),
            uncovered("*.example"),
            uncovered("192.0.2.2"),
        ],
    );
    check(&chain, &[], begin - 1, &[W::NotYetValid { not_before: begin }]);
    check(&chain, &[], begin, &[]);
    check(&chain, &[], end - 7 * DAY, &[]);
    check(&chain, &[], end - 7 * DAY + 1, &[W::ExpiresSoon { not_after: end }]);
    check(&chain, &[], end, &[W::ExpiresSoon { not_after: end }]);
    check(&chain, &[], end + 1, &[W::Expired { not_after: end }]);
    check(&leaf_pem(&[], &ECDSA_KEY, life()), &[], NOW, &[W::NoNames]);
    check(&format!("{chain}{}", AUTHORITY.pem), &[], NOW, &[]);
    check(&format!("{chain}{chain}"), &[], NOW, &[W::ChainBroken { index: 0 }]);
}

#[test]
fn names_are_read_strictly() {
    use NameError as E;
    let check = |text: &str, expect: Result<&str, NameError>| {
        let read = CertificateName::parse(text).map(|name| name.to_string());
        assert_eq!(read, expect.map(str::to_owned), "{text:?}");
    };
    check("Example.COM.", Ok("example.com"));
    check("*.Example.com.", Ok("*.example.com"));
    check("localhost", Ok("localhost"));
    check("xn--bcher-kva.example", Ok("xn--bcher-kva.example"));
    check("a_b.internal", Ok("a_b.internal"));
    check("192.0.2.1", Ok("192.0.2.1"));
    check("[2001:DB8::1]", Ok("2001:db8::1"));
    check("2001:db8::1", Ok("2001:db8::1"));
    check("", Err(E::Empty));
    check(".", Err(E::Empty));
    check("*", Err(E::Byte(b'*')));
    check("*.", Err(E::Empty));
    check("a.*.example", Err(E::Byte(b'*')));
    check("w*.example", Err(E::Byte(b'*')));
    check("a..b", Err(E::Label));
    check("-a.b", Err(E::Label));
    check("a-.b", Err(E::Label));
    check("a b", Err(E::Byte(b' ')));
    check("b\u{fc}cher.example", Err(E::Byte(0xc3)));
    check("example.com:443", Err(E::Byte(b':')));
    check(&"a".repeat(64), Err(E::Label));
    // 253 bytes and a trailing dot, then one byte more.
    check(&"a.".repeat(127), Ok(&format!("{}a", "a.".repeat(126))));
    check(&format!("{}bb", "a.".repeat(126)), Err(E::TooLong));
}
