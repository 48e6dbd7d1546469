use proptest::prelude::*;

use super::*;

/// Hashes as the C library, OpenSSL and the reference implementation of Argon2 write them.
const KNOWN: &[(&str, &str)] = &[
    (
        "secret",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$4mqQiyq0VpIzuZmp+8eSF3YJ7Av58TkEJ4LIdOVsAc4",
    ),
    (
        "secret",
        "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$94U4LtGI5SKbnP2wOpAbYbf9JeGUWWLtt6tKq1mbcgY",
    ),
    (
        "secret",
        "$argon2d$v=19$m=64,t=1,p=1$c29tZXNhbHQ$w2gnxX5N5iWPAdpQ+1xz58+/M8I4yFyZY8pb/gddNis",
    ),
    (
        "pässwörd",
        "$argon2id$v=19$m=128,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$KlMYykpVREVI4DwXmVSwRS8pNuEvcfrd",
    ),
    (
        "secret",
        "$argon2i$v=16$m=64,t=2,p=1$c29tZXNhbHQ$wMhGta4OOeBeTLxl/smECG1VJTYXxA7lfQdxZZUccIQ",
    ),
    ("secret", "$argon2i$m=64,t=2,p=1$c29tZXNhbHQ$wMhGta4OOeBeTLxl/smECG1VJTYXxA7lfQdxZZUccIQ"),
    ("secret", "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"),
    ("pässwörd", "$2y$04$abcdefghijklmnopqrstuuyx2n0Zzopyr9QuYTMCfOJJOj526QVoC"),
    ("", "$2b$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq"),
    ("Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
    (
        "Hello world!",
        "$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA",
    ),
    ("", "$5$abc$bBHLwRRW2Li0XKaX13kz/g2fkDil4Jx46aNvd.48MS8"),
    (
        "pässwörd",
        "$6$rounds$Uf/ZevwGVNY8n/HvqRLqYGBTTYSN.NhdmCCuRMZbDBPhE.nfqGmU5XcjoqCZqGpIcuyzFfcjrAn.yGmE3NFrH/",
    ),
];

#[test]
fn what_others_wrote_is_verified() {
    for &(password, text) in KNOWN {
        let hash = PasswordHash::read(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert!(hash.verify(password.as_bytes()), "{text}");
        assert!(!hash.verify(format!("{password}x").as_bytes()), "{text}");
        assert!(!hash.verify(b"Secret"), "{text}");
    }
}

#[test]
fn long_passwords() {
    let sha = "$6$rounds=1400$anotherlongsalts$BaMvyw440I21ozRaSVReppofjrlnjLm72zKf4/LMvD3AO8dSH.3nmJgq4q7zMhJWiFIPPy/\
               0y4Uwap7YC1Uub0";
    assert!(PasswordHash::read(sha).unwrap().verify(&[b'x'; 100]));
    // bcrypt reads 72 bytes, here as everywhere.
    let bcrypt =
        PasswordHash::read("$2a$05$ZZZZabcdefghijklmnopqu7nqBNsV5i4IgyftZVV/m0n7GV4SHPkW").unwrap();
    assert!(bcrypt.verify(&[b'y'; 80]));
    assert!(bcrypt.verify(&[b'y'; 72]));
    assert!(!bcrypt.verify(&[b'y'; 71]));
    assert!(!bcrypt.verify(&[b'y'; PASSWORD_MAX + 1]));
}

#[test]
fn what_is_made_is_read() {
    let text = make("correct horse", &[7; 16]).unwrap();
    assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
    let hash = PasswordHash::read(&text).unwrap();
    assert!(hash.verify(b"correct horse"));
    assert!(!hash.verify(b"correct hors"));
    assert_ne!(text, make("correct horse", &[8; 16]).unwrap());
    assert_eq!(nobody().cost(), hash.cost());
    for (password, expect) in [
        ("", MakeError::Empty),
        ("a\n", MakeError::Control),
        (&*"x".repeat(257), MakeError::TooLong),
    ] {
        assert_eq!(make(password, &[0; 16]), Err(expect));
    }
}

#[test]
fn hashes_that_are_not_taken() {
    use HashError::{Cost, Malformed, Plain, Unknown, Weak};
    for (text, expect) in [
        ("$apr1$salt$hash", Weak("apr1 (MD5)")),
        ("$1$salt$hash", Weak("MD5-crypt")),
        ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", Weak("{SHA} (SHA-1 without a salt)")),
        ("{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", Weak("{SSHA} (SHA-1)")),
        (
            "$2x$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
            Weak("$2x$ (bcrypt with a flaw)"),
        ),
        ("rqXexS6ZhobKA", Plain),
        ("password", Plain),
        ("", Plain),
        ("$y$j9T$salt$hash", Unknown),
        ("{PLAIN}x", Unknown),
        ("$argon2x$v=19$m=64,t=1,p=1$c29tZXNhbHQ$4mqQiyq0VpIzuZmp+8eSFw", Unknown),
        (
            "$argon2id$v=18$m=64,t=1,p=1$c29tZXNhbHQ$4mqQiyq0VpIzuZmp+8eSFw",
            Malformed("its version is neither 16 nor 19"),
        ),
        (
            "$argon2id$v=19$t=1,m=64,p=1$c29tZXNhbHQ$4mqQiyq0VpIzuZmp+8eSFw",
            Malformed("its costs are not m=NUMBER,t=NUMBER,p=NUMBER"),
        ),
        (
            "$argon2id$v=19$m=64,t=1,p=1,keyid=a$c29tZXNhbHQ$4mqQiyq0VpIzuZmp+8eSFw",
            Malformed("its costs are not m=NUMBER,t=NUMBER,p=NUMBER"),
        ),
        (
            "$argon2id$v=19$m=+64,t=1,p=1$c29tZXNhbHQ$4mqQiyq0VpIzuZmp+8eSFw",
            Malformed("its costs are not m=NUMBER,t=NUMBER,p=NUMBER"),
        ),
        (
            "$argon2id$v=19$m=7,t=1,p=1$c29tZXNhbHQ$4mqQiyq0VpIzuZmp+8eSFw",
            Malformed("its costs are lower than Argon2 allows"),
        ),
        (
            "$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$4mqQiyq0VpIzuZmp+8eSFw",
            Malformed("its costs are lower than Argon2 allows"),
        ),
        (
            "$argon2id$v=19$m=262145,t=1,p=1$c29tZXNhbHQ$4mqQiyq0VpIzuZmp+8eSFw",
            Cost("memory (KiB)", 262_144),
        ),
        ("$argon2id$v=19$m=64,t=101,p=1$c29tZXNhbHQ$4mqQiyq0VpIzuZmp+8eSFw", Cost("passes", 100)),
        ("$argon2id$v=19$m=640,t=1,p=17$c29tZXNhbHQ$4mqQiyq0VpIzuZmp+8eSFw", Cost("lanes", 16)),
        (
            "$argon2id$v=19$m=262144,t=17,p=1$c29tZXNhbHQ$4mqQiyq0VpIzuZmp+8eSFw",
            Cost("memory (KiB) times passes", 4_194_304),
        ),
        ("$argon2id$v=19$m=64,t=1,p=1$c29t$4mqQiyq0VpIzuZmp+8eSFw", Malformed("its salt")),
        ("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$4mqQiyq0", Malformed("its digest")),
        ("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ", Malformed("a part is missing")),
        (
            "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$4mqQiyq0VpIzuZmp+8eSFw$",
            Malformed("there is more behind its digest"),
        ),
        ("$2y$17$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", Cost("cost", 16)),
        (
            "$2y$03$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
            Malformed("its cost is lower than 4"),
        ),
        ("$2y$4$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", Malformed("its cost")),
        ("$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIr", Malformed("its digest")),
        ("$2y$04$abcdefghijklmnopqrstu", Malformed("its salt")),
        (
            "$5$rounds=5000001$a$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
            Cost("rounds", 5_000_000),
        ),
        (
            "$5$rounds=999$a$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
            Malformed("its rounds are fewer than 1000"),
        ),
        ("$5$rounds=05000$a$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", Malformed("its rounds")),
        ("$5$saltstringsaltst1$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", Malformed("its salt")),
        ("$5$a$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEcz", Malformed("its digest")),
        ("$6$a$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", Malformed("its digest")),
    ] {
        assert_eq!(PasswordHash::read(text).unwrap_err(), expect, "{text}");
    }
}

#[test]
fn marks_tell_hashes_apart() {
    let marks: std::collections::HashSet<_> =
        KNOWN.iter().map(|(_, text)| *PasswordHash::read(text).unwrap().mark()).collect();
    assert_eq!(marks.len(), KNOWN.len());
    assert!(!marks.contains(nobody().mark()));
    let again = PasswordHash::read(KNOWN[0].1).unwrap();
    assert!(marks.contains(again.mark()));
}

#[test]
fn debug_shows_no_hash() {
    let shown = format!("{:?}", PasswordHash::read(KNOWN[0].1).unwrap());
    assert_eq!(shown, "PasswordHash(argon2id m=64 t=1 p=1)");
}

proptest! {
    #[test]
    fn no_text_panics(text in prop_oneof![
        "\\PC{0,80}",
        "\\$(argon2id|2y|5|6)\\$[$a-z0-9=,./]{0,100}",
        "\\$argon2(id|i)(\\$v=1[69])?\\$m=[0-9]{1,4},t=[0-9],p=[0-9]\\$[A-Za-z0-9+/]{0,70}\\$[A-Za-z0-9+/]{0,90}",
    ]) {
        let _ = PasswordHash::read(&text);
    }
}
