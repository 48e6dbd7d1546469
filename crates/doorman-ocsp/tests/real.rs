//! Answers of OpenSSL's responder, and whatever else may come.

use doorman_ocsp::{Hash, Reply, Responder, Status, read_reply};
use proptest::prelude::*;

const GOOD: &[u8] = include_bytes!("../../../fuzz/seeds/ocsp_reply/good_by_openssl");
const REVOKED: &[u8] = include_bytes!("../../../fuzz/seeds/ocsp_reply/revoked_by_openssl");

#[test]
fn what_openssl_says() {
    let check = |bytes: &[u8], status: Status| {
        let Ok(Reply::Answer(answer)) = read_reply(bytes) else { panic!("it is an answer") };
        assert!(matches!(answer.responder, Responder::Name(_)));
        assert_eq!(answer.certificates.len(), 1);
        let [single] = answer.singles[..] else { panic!("{:?}", answer.singles) };
        assert_eq!((single.hash, single.serial), (Hash::Sha1, &[0x12, 0x34][..]));
        assert_eq!(single.status, status);
        assert_eq!(single.next_update, Some(single.this_update + 3600));
    };
    check(GOOD, Status::Good);
    // 2020-01-01.
    check(REVOKED, Status::Revoked { at: 1_577_836_800, reason: Some(1) });
}

proptest! {
    #[test]
    fn a_changed_byte_does_no_harm(at in 0..GOOD.len(), byte: u8) {
        let mut bytes = GOOD.to_vec();
        bytes[at] = byte;
        let _ = read_reply(&bytes);
    }

    #[test]
    fn a_prefix_is_no_answer(length in 0..GOOD.len()) {
        prop_assert!(read_reply(&GOOD[..length]).is_err());
    }

    #[test]
    fn whatever_comes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_reply(&bytes);
    }
}
