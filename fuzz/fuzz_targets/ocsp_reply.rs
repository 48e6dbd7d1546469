//! Answers of OCSP: no panic, all that is handed out lies in the bytes that came, and the bounds hold. The same bytes
//! as the outside of a certificate, as a key and as an extension, and as the serial number of a question.
#![no_main]

use doorman_ocsp::{
    ANSWERS_MAX, CERTIFICATES_MAX, GET_BYTES_MAX, Reply, Responder, features, get_url, public_key,
    question, read_reply, read_signed,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let is_inside = |part: &[u8]| {
        let (whole, part) = (input.as_ptr_range(), part.as_ptr_range());
        assert!(whole.start <= part.start && part.end <= whole.end);
    };
    if let Ok(Reply::Answer(answer)) = read_reply(input) {
        assert!(answer.singles.len() <= ANSWERS_MAX);
        assert!(answer.certificates.len() <= CERTIFICATES_MAX);
        answer.certificates.iter().for_each(|certificate| is_inside(certificate));
        let (Responder::Name(who) | Responder::Key(who)) = answer.responder;
        let signed = answer.signed;
        [who, signed.message, signed.algorithm, signed.signature].map(is_inside);
        for single in &answer.singles {
            [single.name_hash, single.key_hash, single.serial].map(is_inside);
        }
        // Only a whole answer is one.
        assert!(read_reply(&input[..input.len() - 1]).is_err());
    }
    if let Ok(signed) = read_signed(input) {
        is_inside(signed.message);
    }
    let _ = (public_key(input), features(input));
    let asked = question(&[1; 20], &[2; 20], input);
    if let Some(url) = get_url("http://a.test", &asked) {
        assert!(url.len() <= GET_BYTES_MAX + "http://a.test/".len() && url.is_ascii());
    }
});
