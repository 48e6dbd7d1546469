//! The same values, asked of the original.
//!
//! `INJECTION_ORACLE=program cargo test -p doorman-waf --test oracle -- --ignored` runs it. The program is a
//! few lines of C around libinjection: it reads values, each behind its length in four bytes with the
//! lowest first, and writes a line for each: `1` or `0` and the fingerprint or `-` of SQL, and `1` or
//! `0` of HTML. `INJECTION_VALUES` may name a file with more values, one a line.

use std::io::{Seek, Write};
use std::process::Command;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use doorman_waf::operator::{Fingerprint, detect_sqli, detect_xss};

#[path = "../src/operator/injection/spliced.rs"]
mod spliced;

use spliced::spliced;

const VALUES: usize = 200_000;

#[test]
#[ignore = "needs the original"]
fn agrees_with_the_oracle() {
    let Ok(oracle) = std::env::var("INJECTION_ORACLE") else {
        panic!("INJECTION_ORACLE is not set")
    };
    let values = values();
    let answers = ask(&oracle, &values);
    assert_eq!(answers.len(), values.len());
    let differs = |(value, theirs): &(&Vec<u8>, &String)| {
        let found = detect_sqli(value);
        let print = String::from_utf8_lossy(found.as_ref().map_or(b"-", Fingerprint::as_bytes));
        let sql = u8::from(found.is_some());
        let html = u8::from(detect_xss(value));
        format!("{sql} {print} {html}") != **theirs
            // The original takes this byte for the end where `char` has a sign.
            && !value.contains(&0xff)
    };
    let differences: Vec<_> = values.iter().zip(&answers).filter(differs).collect();
    for (value, theirs) in differences.iter().take(20) {
        println!("{theirs}: {}", value.escape_ascii());
    }
    assert!(differences.is_empty(), "{} of {} differ", differences.len(), values.len());
}

fn values() -> Vec<Vec<u8>> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = spliced();
    let mut values: Vec<Vec<u8>> = (0..VALUES)
        .map(|_| strategy.new_tree(&mut runner).expect("nothing is rejected").current())
        .collect();
    if let Ok(file) = std::env::var("INJECTION_VALUES") {
        let text = std::fs::read(&file).expect("the file of values");
        values.extend(text.split(|&byte| byte == b'\n').map(<[u8]>::to_vec));
    }
    values
}

fn ask(oracle: &str, values: &[Vec<u8>]) -> Vec<String> {
    // A file, because the program answers while it still reads.
    let mut file = tempfile::tempfile().expect("a file");
    let mut written = Vec::new();
    for value in values {
        let length = u32::try_from(value.len()).expect("values are short");
        written.extend_from_slice(&length.to_le_bytes());
        written.extend_from_slice(value);
    }
    file.write_all(&written).expect("a file takes what is written");
    file.rewind().expect("a file has a beginning");
    let output = Command::new(oracle).stdin(file).output().expect("the program runs");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}
