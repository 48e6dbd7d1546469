//! Records of a FastCGI application: no panic, and every cut gives the same output, complaints and
//! end. The first byte says where to cut.
#![no_main]

use doorman_fastcgi::{Reader, RecordFault, What};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Default, PartialEq)]
struct Heard {
    output: Vec<u8>,
    complaints: Vec<u8>,
    ended: Option<(usize, What)>,
    fault: Option<RecordFault>,
}

/// Reads the input in pieces of `size` bytes.
fn read(input: &[u8], size: usize) -> Heard {
    let (mut reader, mut heard) = (Reader::new(), Heard::default());
    let mut at = 0;
    for piece in input.chunks(size) {
        let mut rest = piece;
        loop {
            let step = match reader.read(rest) {
                Ok(step) => step,
                Err(fault) => {
                    heard.fault = Some(fault);
                    return heard;
                }
            };
            assert!(step.content.end <= step.consumed && step.consumed <= rest.len());
            let content = &rest[step.content];
            at += step.consumed;
            rest = &rest[step.consumed..];
            match step.what {
                What::Output => heard.output.extend_from_slice(content),
                What::Complaint => heard.complaints.extend_from_slice(content),
                end @ What::End(_) => {
                    assert!(reader.is_ended());
                    heard.ended = Some((at, end));
                    return heard;
                }
                What::More => {
                    assert!(rest.is_empty());
                    break;
                }
            }
        }
    }
    heard
}

fuzz_target!(|input: &[u8]| {
    let Some((&cut, input)) = input.split_first() else { return };
    let whole = read(input, usize::MAX);
    let pieces = read(input, usize::from(cut) % 37 + 1);
    // An end that stands at the very end of the input may lack its padding only.
    assert_eq!(whole, pieces);
});
