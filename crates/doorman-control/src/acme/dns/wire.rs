//! Reading DNS messages (RFC 1035 section 4), as far as answers to updates and to questions for aliases go.

/// Bytes of a name on the wire (RFC 1035 section 2.3.4).
pub(super) const NAME_BYTES_MAX: usize = 255;
/// Records of one answer that are looked at.
const RECORDS_MAX: usize = 64;
const HEADER: usize = 12;

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply<'a> {
    pub(super) id: u16,
    pub(super) code: u8,
    /// Whether it comes from a server of the zone itself.
    pub(super) is_authoritative: bool,
    /// What is answered.
    pub(super) answers: Vec<Record<'a>>,
    /// The last record of all.
    pub(super) last: Option<Record<'a>>,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// In lower case, without a dot at the end.
    pub(super) name: String,
    pub(super) kind: u16,
    pub(super) data: &'a [u8],
    /// Where the record begins in the message.
    pub(super) start: usize,
    /// Where its data begins.
    pub(super) data_start: usize,
}

/// Reads an answer. `None`: it is none, or larger than one that is needed.
pub(super) fn read(message: &[u8]) -> Option<Reply<'_>> {
    let field = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let (id, flags) = (field(0)?, field(2)?);
    if flags & 0x8000 == 0 {
        return None;
    }
    let (questions, answers) = (usize::from(field(4)?), usize::from(field(6)?));
    let others = usize::from(field(8)?) + usize::from(field(10)?);
    if questions + answers + others > RECORDS_MAX {
        return None;
    }
    let mut at = HEADER;
    for _ in 0..questions {
        at = name(message, at)?.1 + 4;
    }
    let mut found = Vec::new();
    let mut last = None;
    for index in 0..answers + others {
        let start = at;
        let (owner, after) = name(message, at)?;
        let (kind, length) = (field(after)?, usize::from(field(after + 8)?));
        let data_start = after + 10;
        let data = message.get(data_start..data_start + length)?;
        at = data_start + length;
        let record = Record { name: owner, kind, data, start, data_start };
        if index < answers {
            found.push(record.clone());
        }
        last = Some(record);
    }
    let is_authoritative = flags & 0x0400 != 0;
    let code = u8::try_from(flags & 0x000F).ok()?;
    (at == message.len()).then_some(Reply { id, code, is_authoritative, answers: found, last })
}

/// The name that stands at a place, and where what follows it stands.
pub(super) fn name(message: &[u8], start: usize) -> Option<(String, usize)> {
    let mut text = String::new();
    let (mut at, mut end) = (start, None);
    loop {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => return Some((text, end.unwrap_or(at + 1))),
            1..=63 => {
                let label = message.get(at + 1..=at + length)?;
                // A dot within a label would make another name of it; whatever is no text is nobody's name here.
                if !label.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'.') {
                    return None;
                }
                if !text.is_empty() {
                    text.push('.');
                }
                text.extend(label.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
                if text.len() > NAME_BYTES_MAX {
                    return None;
                }
                at += length + 1;
            }
            0xC0.. => {
                let low = usize::from(*message.get(at + 1)?);
                let target = (length & 0x3F) << 8 | low;
                end = end.or(Some(at + 2));
                // Only backwards (RFC 1035 section 4.1.4), so it comes to an end.
                at = Some(target).filter(|target| *target < at)?;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |message: &[u8], start: usize, expect: Option<(&str, usize)>| {
            let found = name(message, start);
            let found = found.as_ref().map(|(text, end)| (text.as_str(), *end));
            assert_eq!(found, expect, "{message:02x?} {start}");
        };
        check(b"\x01A\x02bc\x00", 0, Some(("a.bc", 6)));
        check(b"\x00", 0, Some(("", 1)));
        check(b"\x02bc\x00\x01a\xC0\x00!", 4, Some(("a.bc", 8)));
        // Cut off, pointing at itself or forwards, a dot or worse within a label, a label of another kind.
        check(b"\x01a", 0, None);
        check(b"\x05a\x00", 0, None);
        check(b"\xC0\x00", 0, None);
        check(b"\xC0", 0, None);
        check(b"\x01a\xC0\x04\x00", 0, None);
        check(b"\x01a\xC0\x00", 0, None);
        check(b"\x02a.\x00", 0, None);
        check(b"\x01\n\x00", 0, None);
        check(b"\x41a\x00", 0, None);
        check(&[b"\x3F".as_slice(), &[b'a'; 63]].concat().repeat(5), 0, None);
    }

    #[test]
    fn replies() {
        let reply = b"\x12\x34\x84\x00\x00\x01\x00\x01\x00\x00\x00\x00\
            \x01a\x01b\x00\x00\x05\x00\x01\
            \xC0\x0C\x00\x05\x00\x01\x00\x00\x00\x3C\x00\x04\x01c\xC0\x0E";
        let read_whole = read(reply).unwrap();
        assert_eq!((read_whole.id, read_whole.code), (0x1234, 0));
        assert!(read_whole.is_authoritative);
        let [alias] = &read_whole.answers[..] else { panic!("one answer") };
        assert_eq!((alias.name.as_str(), alias.kind), ("a.b", 5));
        assert_eq!(name(reply, alias.data_start).unwrap().0, "c.b");
        for length in 0..reply.len() {
            assert_eq!(read(&reply[..length]), None, "{length}");
        }
        assert_eq!(read(&[&reply[..], b"\0"].concat()), None);
        let mut asked = reply.to_vec();
        asked[2] = 4;
        assert_eq!(read(&asked), None, "a question is no answer");
        let mut many = reply.to_vec();
        many[6] = 0xFF;
        assert_eq!(read(&many), None);
    }
}
