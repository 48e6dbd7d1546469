//! Answers of OCSP (RFC 6960), right or wrong in whatever way a test needs, written byte by byte.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rcgen::{KeyPair, PublicKeyData, SigningKey};

/// What an answer says. Times are unix seconds.
#[derive(Clone, Debug)]
pub struct OcspAnswer {
    /// The `CertID`, DER. [`cert_id`] takes it out of a question.
    pub cert_id: Vec<u8>,
    /// How it stands with the certificate.
    pub status: OcspStatus,
    /// When that was so.
    pub this_update: u64,
    /// When there is newer knowledge.
    pub next_update: Option<u64>,
    /// Certificates that come with it, DER.
    pub certificates: Vec<Vec<u8>>,
    /// The subject that it calls its signer by, DER; `None`: by the hash of his key.
    pub name: Option<Vec<u8>>,
    /// Whether it has an extension that must be understood and cannot be.
    pub has_riddle: bool,
}

/// How it stands with a certificate.
#[derive(Clone, Copy, Debug)]
pub enum OcspStatus {
    /// Well.
    Good,
    /// Revoked then, for the reason of this number.
    Revoked(u64, u8),
    /// Nobody knows.
    Unknown,
}

impl OcspAnswer {
    /// A good one.
    #[must_use]
    pub fn good(cert_id: Vec<u8>, this_update: u64, next_update: u64) -> Self {
        Self {
            cert_id,
            status: OcspStatus::Good,
            this_update,
            next_update: Some(next_update),
            certificates: Vec::new(),
            name: None,
            has_riddle: false,
        }
    }

    /// The whole answer, signed by a key on P-256.
    ///
    /// # Panics
    /// When the key is another.
    #[must_use]
    pub fn signed(&self, key: &KeyPair) -> Vec<u8> {
        const BASIC: [u8; 11] = [6, 9, 0x2B, 6, 1, 5, 5, 7, 0x30, 1, 1];
        const ECDSA_SHA256: [u8; 12] = [0x30, 10, 6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2];
        let data = self.data(key);
        let signature = key.sign(&data).expect("a key that signs");
        let mut basic = data;
        basic.extend_from_slice(&ECDSA_SHA256);
        basic.extend(element(3, &[&[0], signature.as_slice()].concat()));
        if !self.certificates.is_empty() {
            basic.extend(element(0xA0, &element(0x30, &self.certificates.concat())));
        }
        let response = [&BASIC[..], &element(4, &element(0x30, &basic))].concat();
        let bytes = element(0xA0, &element(0x30, &response));
        element(0x30, &[&[10, 1, 0], bytes.as_slice()].concat())
    }

    fn data(&self, key: &KeyPair) -> Vec<u8> {
        let mut single = self.cert_id.clone();
        single.extend(match self.status {
            OcspStatus::Good => vec![0x80, 0],
            OcspStatus::Unknown => vec![0x82, 0],
            OcspStatus::Revoked(at, reason) => {
                element(0xA1, &[time(at).as_slice(), &[0xA0, 3, 10, 1, reason]].concat())
            }
        });
        single.extend(time(self.this_update));
        if let Some(next_update) = self.next_update {
            single.extend(element(0xA0, &time(next_update)));
        }
        if self.has_riddle {
            let extension = element(0x30, &[6, 2, 0x2A, 3, 1, 1, 0xFF, 4, 0]);
            single.extend(element(0xA1, &element(0x30, &extension)));
        }
        let mut data = match &self.name {
            Some(name) => element(0xA1, name),
            None => {
                let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, key.der_bytes());
                element(0xA2, &element(4, hash.as_ref()))
            }
        };
        data.extend(time(self.this_update));
        data.extend(element(0x30, &element(0x30, &single)));
        element(0x30, &data)
    }
}

/// The `CertID` of a question about one certificate: all that is inside of its four shells.
#[must_use]
pub fn cert_id(question: &[u8]) -> Vec<u8> {
    question[8..].to_vec()
}

/// The extension that names a responder (RFC 5280 section 4.2.2.1).
pub(crate) fn authority_access(responder: &str) -> Vec<u8> {
    const OCSP: [u8; 10] = [6, 8, 0x2B, 6, 1, 5, 5, 7, 0x30, 1];
    let description = [&OCSP[..], &element(0x86, responder.as_bytes())].concat();
    element(0x30, &element(0x30, &description))
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = match length {
        0..0x80 => vec![tag, u8::try_from(length).expect("small")],
        _ => {
            let [high, low] = u16::try_from(length).expect("answers are short").to_be_bytes();
            if high == 0 { vec![tag, 0x81, low] } else { vec![tag, 0x82, high, low] }
        }
    };
    bytes.extend_from_slice(content);
    bytes
}

/// `YYYYMMDDHHMMSSZ`.
fn time(unix: u64) -> Vec<u8> {
    let (mut days, rest) = (unix / 86_400, unix % 86_400);
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let text = format!("{year}{month:02}{:02}{hour:02}{minute:02}{second:02}Z", days + 1);
    element(0x18, text.as_bytes())
}
