//! What is held in memory stays below what was computed beforehand: measured by the system, in a
//! process of its own for each image, because half of the encoders are in C and ask no allocator of
//! ours.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use doorman_optimize::image::{Format, Want, memory, optimize};

use super::pictures::{
    Pixels, Scans, badge, gif, graphic, grey, jpeg, photo, png, webp_lossless, webp_lossy,
};
use super::{BOUNDS, want, wide};

const CASE: &str = "DOORMAN_IMAGE_CASE";

/// A number of /proc/self/status, in bytes.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the system tells");
    let line = status.lines().find(|line| line.starts_with(name)).expect("it knows");
    let number = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
    number.expect("a number") * 1024
}

/// What the process that was started by the test below does; nothing in all others.
#[test]
fn measures_when_asked() {
    let Ok(case) = std::env::var(CASE) else { return };
    let (format, width) = case.split_once(' ').expect("two words");
    let format = Format::ALL.into_iter().find(|one| one.word() == format).expect("a format");
    let want = match width.parse().expect("a width") {
        0 => want(format),
        width => wide(format, width),
    };
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).expect("an image");
    let before = status("VmRSS:");
    let result = optimize(&bytes, &want, &BOUNDS).map(|_| ());
    println!("\nheld {} {result:?}", status("VmHWM:").saturating_sub(before));
}

fn measured(bytes: &[u8], want: &Want) -> u64 {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "memory::measures_when_asked", "--nocapture", "--test-threads=1"])
        .env(CASE, format!("{} {}", want.format.word(), want.max_width.unwrap_or(0)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("piped").write_all(bytes).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix("held ")).expect("it has measured");
    assert!(!line.contains("TooCostly"), "{line}");
    line.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn memory_stays_below_what_was_computed() {
    let (photo, graphic, badge) = (photo(800, 600), graphic(800, 600), badge(700, 700));
    let sources: Vec<(&str, Vec<u8>)> = vec![
        ("baseline", jpeg(&photo, 85, Scans::Baseline)),
        ("progressive", jpeg(&photo, 85, Scans::Progressive)),
        ("grey", jpeg(&grey(&photo), 85, Scans::Progressive)),
        ("photo as png", png(&photo)),
        ("graphic as png", png(&graphic)),
        ("badge as png", png(&badge)),
        ("gif", gif(&[&graphic])),
        ("lossy webp", webp_lossy(&photo, 85.0)),
        ("lossy webp with alpha", webp_lossy(&badge, 85.0)),
        ("lossless webp", webp_lossless(&badge)),
    ];
    let mut all = Vec::new();
    for (name, bytes) in &sources {
        for want in [
            wide(Format::WebP, 0x4000),
            want(Format::Jpeg),
            want(Format::Png),
            want(Format::Avif),
            wide(Format::WebP, 500),
            wide(Format::Png, 20),
        ] {
            let held = measured(bytes, &want);
            let probe = doorman_optimize::image::Probe::of(bytes).expect(name);
            let pixels = u64::from(probe.width) * u64::from(probe.height);
            let bound = memory(bytes, &want).expect(name);
            println!(
                "{name} as {} {:?}: held {} of {} bytes a pixel",
                want.format.word(),
                want.max_width,
                held / pixels,
                bound / pixels
            );
            all.push((held <= bound, name, want));
        }
    }
    all.retain(|(is_bounded, ..)| !is_bounded);
    assert!(all.is_empty(), "{all:?}");
}

/// Few bytes, many pixels.
#[test]
fn zeros_are_held_to_the_bound() {
    let zeros = Pixels { width: 6000, height: 6000, bytes: 1, data: vec![0; 36_000_000] };
    let bytes = png(&zeros);
    assert!(bytes.len() < 400_000, "{}", bytes.len());
    let want = wide(Format::WebP, 320);
    let (held, bound) = (measured(&bytes, &want), memory(&bytes, &want).expect("an image"));
    assert!(held <= bound && bound < 500 << 20, "{held} of {bound}");
}
