use proptest::prelude::*;

use super::*;
use crate::outcome::Via;

const ANN: &str = "$5$abc$bBHLwRRW2Li0XKaX13kz/g2fkDil4Jx46aNvd.48MS8";
const SECRET: &str = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";
const UMLAUT: &str = "$2y$04$abcdefghijklmnopqrstuuyx2n0Zzopyr9QuYTMCfOJJOj526QVoC";

fn gate(file: &str) -> Basic {
    let mut accounts = Accounts::new();
    accounts.add_file(file.as_bytes()).unwrap();
    Basic::new(accounts, "r").unwrap()
}

fn usual() -> Basic {
    gate(&format!("bob:{SECRET}\nZoë:{UMLAUT}\n"))
}

fn request(values: &[&[u8]]) -> Fields {
    let mut fields = Fields::new();
    for value in values {
        fields.push(b"Authorization", value);
    }
    fields
}

fn shown(pair: &[u8]) -> Fields {
    request(&[format!("Basic {}", Base64::encode_string(pair)).as_bytes()])
}

/// Runs the work, if there is any: who it is, or why not, and whether there was work.
fn ask(
    gate: &Basic,
    fields: &Fields,
    verified: &Verified,
    now: Instant,
) -> (Result<String, Refusal>, bool) {
    let (outcome, worked) = match gate.check(fields, verified, now) {
        Outcome::Work(job) => (gate.finish(&job.run(), verified, now), true),
        other => (other, false),
    };
    match outcome {
        Outcome::Pass(identity) => {
            assert_eq!(identity.via, Via::Basic);
            (Ok(identity.user.to_string()), worked)
        }
        Outcome::Refuse(refusal) => (Err(refusal), worked),
        other => panic!("no end of it: {other:?}"),
    }
}

#[test]
fn credentials_that_are_read() {
    use Refusal::*;
    let gate = usual();
    let long = |user: usize, password: usize| {
        format!(
            "Basic {}",
            Base64::encode_string(
                format!("{}:{}", "u".repeat(user), "p".repeat(password)).as_bytes()
            )
        )
    };
    let basic = |pair: &[u8]| format!("Basic {}", Base64::encode_string(pair));
    for (value, expect) in [
        (basic(b"bob:secret"), Ok("bob")),
        ("bAsIc Ym9iOnNlY3JldA==".to_owned(), Ok("bob")),
        ("Basic   Ym9iOnNlY3JldA==".to_owned(), Ok("bob")),
        (basic("Zoë:pässwörd".as_bytes()), Ok("Zoë")),
        (basic(b"bob:Secret"), Err(BadCredentials)),
        (basic(b"bob:secret:"), Err(BadCredentials)),
        (basic(b"Bob:secret"), Err(BadCredentials)),
        (basic(b"nobody:secret"), Err(BadCredentials)),
        (basic(b"bob"), Err(MalformedCredentials)),
        (basic(b":secret"), Err(MalformedCredentials)),
        (basic(b"bob:"), Err(MalformedCredentials)),
        (basic(b"bob:secret\0"), Err(MalformedCredentials)),
        (basic(b"bob:secret\r\n"), Err(MalformedCredentials)),
        (basic(b"Zo\xEB:p\xE4ss"), Err(MalformedCredentials)),
        // Base64 that is not what RFC 4648 section 4 writes.
        ("Basic Ym9iOnNlY3JldA".to_owned(), Err(MalformedCredentials)),
        ("Basic Ym9iOnNlY3JldB==".to_owned(), Err(MalformedCredentials)),
        ("Basic Ym9iOnNlY3JldA== x".to_owned(), Err(MalformedCredentials)),
        ("Basic Ym9i,OnNlY3JldA==".to_owned(), Err(MalformedCredentials)),
        ("Basic ====".to_owned(), Err(MalformedCredentials)),
        ("Basic".to_owned(), Err(MalformedCredentials)),
        ("Basic ".to_owned(), Err(MalformedCredentials)),
        (String::new(), Err(MalformedCredentials)),
        ("Bearer Ym9iOnNlY3JldA==".to_owned(), Err(NoCredentials)),
        ("BasicYm9iOnNlY3JldA==".to_owned(), Err(NoCredentials)),
        ("Basic\tYm9iOnNlY3JldA==".to_owned(), Err(NoCredentials)),
        (long(256, 256), Err(BadCredentials)),
        (long(257, 1), Err(CredentialsTooLong)),
        (long(1, 257), Err(CredentialsTooLong)),
        (long(1, 60_000), Err(CredentialsTooLong)),
    ] {
        let verified = Verified::new(&[1; 32], 16);
        let (found, _) = ask(&gate, &request(&[value.as_bytes()]), &verified, Instant(5));
        assert_eq!(found, expect.map(str::to_owned), "{value}");
    }
}

/// RFC 7617 sections 2 and 2.1.
#[test]
fn examples_of_the_standard() {
    for (value, user, password) in [
        ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame"),
        ("Basic dGVzdDoxMjPCow==", "test", "123\u{A3}"),
    ] {
        let mut room = [0; CODED_MAX];
        let found =
            credentials(&request(&[value.as_bytes()]), &mut room).map(|(user, password)| {
                (user.to_owned(), String::from_utf8_lossy(password).into_owned())
            });
        assert_eq!(found, Ok((user.to_owned(), password.to_owned())));
    }
}

#[test]
fn there_is_one_field_or_none() {
    let (gate, verified) = (usual(), Verified::new(&[1; 32], 16));
    let good = b"Basic Ym9iOnNlY3JldA==";
    for (values, expect) in [
        (&[][..], Refusal::NoCredentials),
        (&[&good[..], good], Refusal::DuplicateCredentials),
        (&[good, b"Bearer x"], Refusal::DuplicateCredentials),
        (&[b"", good], Refusal::DuplicateCredentials),
    ] {
        assert_eq!(ask(&gate, &request(values), &verified, Instant(5)), (Err(expect), false));
    }
}

#[test]
fn a_password_is_hashed_once_while_it_is_remembered() {
    let (gate, verified) = (usual(), Verified::new(&[1; 32], 16));
    let (fields, now) = (shown(b"bob:secret"), Instant(1));
    let check = |gate: &Basic, fields: &Fields, now| ask(gate, fields, &verified, now);
    assert_eq!(check(&gate, &fields, now), (Ok("bob".to_owned()), true));
    assert_eq!(check(&gate, &fields, now), (Ok("bob".to_owned()), false));
    // A wrong one, too, and for less time; it does not push the right one out.
    let wrong = shown(b"bob:wrong");
    for (seconds, is_hashed) in [(0, true), (0, false), (59, false), (60, true)] {
        let now = now + std::time::Duration::from_secs(seconds);
        assert_eq!(check(&gate, &wrong, now), (Err(Refusal::BadCredentials), is_hashed));
    }
    assert_eq!(check(&gate, &fields, now), (Ok("bob".to_owned()), false));
    // Another plan with the same hash goes on; one with another hash, or without the user, does not.
    assert_eq!(check(&usual(), &fields, now), (Ok("bob".to_owned()), false));
    let other = gate_of_other_hash();
    assert_eq!(check(&other, &fields, now), (Err(Refusal::BadCredentials), true));
    let without = self::gate(&format!("ann:{ANN}"));
    assert_eq!(check(&without, &fields, now), (Err(Refusal::BadCredentials), true));
    let later = now + LIFETIME;
    assert_eq!(check(&gate, &fields, later), (Ok("bob".to_owned()), true));
}

/// A hash that stands in for a name that nobody has says nothing of that name where somebody has it.
#[test]
fn what_is_wrong_at_one_gate_may_be_right_at_another() {
    let verified = Verified::new(&[1; 32], 16);
    let (fields, now) = (shown(b"bob:secret"), Instant(1));
    let other = gate(&format!("alice:{SECRET}"));
    assert_eq!(ask(&other, &fields, &verified, now).0, Err(Refusal::BadCredentials));
    assert_eq!(ask(&usual(), &fields, &verified, now), (Ok("bob".to_owned()), true));
    // And the other way around.
    assert_eq!(ask(&other, &fields, &verified, now).0, Err(Refusal::BadCredentials));
    // A name that nobody has is refused as quickly as one that somebody has.
    let usual = usual();
    for is_hashed in [true, false] {
        let fields = shown(b"nobody:x");
        let expect = (Err(Refusal::BadCredentials), is_hashed);
        assert_eq!(ask(&usual, &fields, &verified, now), expect);
    }
}

fn gate_of_other_hash() -> Basic {
    gate(&format!("bob:{UMLAUT}"))
}

#[test]
fn a_name_that_nobody_has_costs_the_same() {
    let gate = usual();
    let verified = Verified::new(&[1; 32], 16);
    let job = |pair: &[u8]| match gate.check(&shown(pair), &verified, Instant(1)) {
        Outcome::Work(job) => job,
        other => panic!("{other:?}"),
    };
    assert_eq!(job(b"nobody:x").hash.cost(), job(b"bob:x").hash.cost());
    assert_eq!(format!("{:?}", job(b"nobody:x")), format!("{:?}", job(b"bob:secret")));
    // Even with the password of the account whose hash stands in for it.
    for pair in [&b"nobody:secret"[..], "nobody:pässwörd".as_bytes()] {
        assert!(job(pair).run().identity.is_none());
    }
    assert_eq!(job(b"bob:x").key(), job(b"bob:x").key());
    assert_ne!(job(b"bob:x").key(), job(b"bob:y").key());
    // The commonest cost, and Argon2's where there is no account.
    let mixed = self::gate(&format!("a:{ANN}\nb:{SECRET}\nc:{UMLAUT}"));
    assert_eq!(mixed.decoy.cost(), "bcrypt cost=4");
    assert_eq!(self::gate("").decoy.cost(), "argon2id m=19456 t=2 p=1");
}

#[test]
fn all_bad_lines_of_a_file_are_told() {
    let mut accounts = Accounts::new();
    let long = "x".repeat(USER_MAX + 1);
    let text = format!(
        "# users\nbob:{SECRET}\r\n\nann:$apr1$a$b\ncarl:password\nnone\nbob:{SECRET}\n:{SECRET}\n{long}:{SECRET}\n\
         dora:$2y$20$x\nzoe:{UMLAUT}"
    );
    let bad = accounts.add_file(text.as_bytes()).unwrap_err();
    let lines: Vec<_> = bad.told.iter().map(|bad| bad.number).collect();
    assert_eq!(lines, [4, 5, 6, 7, 8, 9, 10]);
    assert!(bad.to_string().starts_with(
        "line 4: a hash of the kind apr1 (MD5) is weak: make a new one with `doorman hash`\nline 5: "
    ));
    assert!(!bad.to_string().contains("password\n"), "a password is shown: {bad}");
    assert_eq!(accounts.len(), 2);
    assert!(!accounts.is_empty());
}

#[test]
fn jobs_may_go_to_another_thread() {
    const fn is_send<T: Send + 'static>() {}
    is_send::<Job>();
    is_send::<Done>();
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Basic>();
    is_shared::<Verified>();
}

proptest! {
    #[test]
    fn no_field_panics(value in prop::collection::vec(any::<u8>(), 0..60), scheme: bool) {
        let value = if scheme { [b"Basic ", &value[..]].concat() } else { value };
        let verified = Verified::new(&[1; 32], 4);
        let _ = gate("").check(&request(&[&value]), &verified, Instant(1));
    }

    #[test]
    fn every_pair_that_may_be_sent_is_read(user in "[^:\\pC]{1,40}", password in "\\PC{1,40}") {
        let mut room = [0; CODED_MAX];
        let fields = shown(format!("{user}:{password}").as_bytes());
        prop_assert_eq!(credentials(&fields, &mut room), Ok((&*user, password.as_bytes())));
    }
}
