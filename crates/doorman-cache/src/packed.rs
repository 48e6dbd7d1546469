//! A response's head as one run of bytes, for as long as it is stored.
//!
//! Its text is the field lines as they will be written, behind one another. In memory four bytes for
//! each field say what its name's id is and how long its parts are, so that a hit copies the text in
//! one piece and looks at none of it. Ids are numbers of this build and are never written to a disk:
//! there is the text alone, and whoever reads it back reads it as if a stranger had written it.

use doorman_http::{FieldId, FieldLine, ResponseHead, is_field_value, is_token};

/// Status, number of fields, bytes of the reason phrase: two bytes each.
const FRONT: usize = 6;
/// Id, bytes of the name, bytes of the value.
const ENTRY: usize = 4;
/// Colon and space, line end.
const BETWEEN: usize = 2;
const LINE_END: &[u8; 2] = b"\r\n";

/// Bytes that were read as a stored head are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

/// A head that is stored. The version, a declared length and an upgrade are not kept: they belong to
/// the exchange that it came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedHead(Box<[u8]>);

/// One field's place in the text.
#[derive(Clone, Copy)]
struct Entry {
    id: FieldId,
    name: u8,
    value: u16,
}

impl Entry {
    const fn to_bytes(self) -> [u8; ENTRY] {
        let [low, high] = self.value.to_le_bytes();
        [self.id as u8, self.name, low, high]
    }

    #[inline]
    fn from_bytes([id, name, low, high]: [u8; ENTRY]) -> Self {
        let id = match id {
            0 => FieldId::Other,
            id => FieldId::ALL.get(usize::from(id) - 1).copied().unwrap_or(FieldId::Other),
        };
        Self { id, name, value: u16::from_le_bytes([low, high]) }
    }

    /// Where name and value lie if the line begins at `start`.
    #[inline]
    fn ranges(self, start: usize) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let name = start..start + usize::from(self.name);
        let value = name.end + BETWEEN..name.end + BETWEEN + usize::from(self.value);
        (name, value)
    }
}

impl PackedHead {
    /// Packs status, reason phrase and the fields that are forwarded. `None` if a name has more than
    /// 255 bytes, a value or the reason more than 65,535, or if there are more than 65,535 fields: no
    /// head that is worth storing is like that.
    #[must_use]
    pub fn pack(head: &ResponseHead) -> Option<Self> {
        let mut table = Vec::new();
        let mut len = FRONT + head.reason().len();
        for (id, name, value) in head.fields.iter() {
            let (name, value) = (name.len().try_into().ok()?, value.len().try_into().ok()?);
            let entry = Entry { id, name, value };
            len += ENTRY + entry.ranges(0).1.end + LINE_END.len();
            table.push(entry);
        }
        let mut bytes = Vec::with_capacity(len);
        let (count, reason) = (table.len().try_into().ok()?, head.reason().len().try_into().ok()?);
        put_front(&mut bytes, head.status, count, reason);
        table.iter().for_each(|entry| bytes.extend_from_slice(&entry.to_bytes()));
        for (_, name, value) in head.fields.iter() {
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(LINE_END);
        }
        bytes.extend_from_slice(head.reason());
        Some(Self(bytes.into()))
    }

    /// Makes `head` what was packed, in the memory that it has.
    pub fn unpack(&self, head: &mut ResponseHead) {
        head.clear();
        head.status = self.status();
        let (table, text) = self.parts();
        head.fields.load(text);
        let mut start = 0;
        for (index, entry) in table.iter().enumerate() {
            let entry = Entry::from_bytes(*entry);
            let (name, value) = entry.ranges(start);
            start = value.end + LINE_END.len();
            head.fields.mark(0..0);
            head.fields.place(index, &FieldLine { id: entry.id, name, value, is_line: true });
        }
        head.set_reason(start..text.len());
    }

    /// The same with one more field. `None` as for [`PackedHead::pack`].
    #[must_use]
    pub fn with_field(&self, id: FieldId, value: &[u8]) -> Option<Self> {
        let mut head = ResponseHead::new(self.status());
        self.unpack(&mut head);
        head.fields.push_id(id, value);
        Self::pack(&head)
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.number(0)
    }

    /// The first value of a known name, without unpacking.
    #[must_use]
    pub fn first(&self, id: FieldId) -> Option<&[u8]> {
        let (table, text) = self.parts();
        let mut start = 0;
        for entry in table {
            let entry = Entry::from_bytes(*entry);
            let (_, value) = entry.ranges(start);
            if entry.id == id {
                return text.get(value);
            }
            start = value.end + LINE_END.len();
        }
        None
    }

    /// What it costs in memory, bytes.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.0.len()
    }

    /// Appends what [`PackedHead::from_disk`] reads.
    pub fn to_disk(&self, out: &mut Vec<u8>) {
        let (_, text) = self.parts();
        out.extend_from_slice(self.0.get(..FRONT).unwrap_or_default());
        out.extend_from_slice(text);
    }

    /// Reads a head as it was written to a disk: all of `bytes` and nothing else.
    ///
    /// # Errors
    /// [`Damaged`] for anything that [`PackedHead::to_disk`] would not write.
    pub fn from_disk(bytes: &[u8]) -> Result<Self, Damaged> {
        let (front, text) = bytes.split_at_checked(FRONT).ok_or(Damaged)?;
        let [status, count, reason] = numbers(front);
        // 1xx is never stored, and nothing above 599 is ever read.
        if !(200..=599).contains(&status) {
            return Err(Damaged);
        }
        // The count is not believed before so many lines were seen.
        let mut packed = Vec::with_capacity(bytes.len() + ENTRY * usize::from(count).min(64));
        put_front(&mut packed, status, count, reason);
        let mut rest = text;
        for _ in 0..count {
            let (entry, behind) = line(rest).ok_or(Damaged)?;
            packed.extend_from_slice(&entry.to_bytes());
            rest = behind;
        }
        if rest.len() != usize::from(reason) || !is_field_value(rest) {
            return Err(Damaged);
        }
        packed.extend_from_slice(text);
        Ok(Self(packed.into()))
    }

    fn number(&self, at: usize) -> u16 {
        numbers(&self.0).get(at).copied().unwrap_or(0)
    }

    #[inline]
    fn parts(&self) -> (&[[u8; ENTRY]], &[u8]) {
        let behind = self.0.get(FRONT..).unwrap_or_default();
        let table = usize::from(self.number(1)) * ENTRY;
        let (table, text) = behind.split_at_checked(table).unwrap_or_default();
        (table.as_chunks().0, text)
    }
}

fn put_front(out: &mut Vec<u8>, status: u16, count: u16, reason: u16) {
    for number in [status, count, reason] {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn numbers(bytes: &[u8]) -> [u16; 3] {
    let (pairs, _) = bytes.as_chunks::<2>();
    [0, 1, 2].map(|at| pairs.get(at).map_or(0, |pair| u16::from_le_bytes(*pair)))
}

/// The field line at the front of `text`, and what stands behind it.
fn line(text: &[u8]) -> Option<(Entry, &[u8])> {
    let colon = doorman_http::scan::find(b':', text)?;
    let (name, behind) = text.split_at_checked(colon)?;
    let behind = behind.strip_prefix(b": ")?;
    let end = doorman_http::scan::find(b'\r', behind)?;
    let (value, behind) = behind.split_at_checked(end)?;
    let behind = behind.strip_prefix(LINE_END)?;
    if !is_token(name) || !is_field_value(value) {
        return None;
    }
    let id = FieldId::of(name);
    Some((Entry { id, name: colon.try_into().ok()?, value: end.try_into().ok()? }, behind))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(status: u16, fields: &[(&[u8], &[u8])]) -> ResponseHead {
        let mut head = ResponseHead::new(status);
        for (name, value) in fields {
            head.fields.push(name, value);
        }
        head
    }

    /// All that counts of a head: status, reason, and each field as its id, its name and its value.
    fn text(head: &ResponseHead) -> String {
        let of = String::from_utf8_lossy;
        let fields = head
            .fields
            .iter()
            .map(|(id, name, value)| format!("{id:?} {}: {}", of(name), of(value)));
        let fields = fields.collect::<Vec<_>>().join("|");
        format!("{} {}|{fields}", head.status, of(head.reason()))
    }

    /// In memory and by way of a disk.
    fn both_ways(head: &ResponseHead) -> [ResponseHead; 2] {
        let packed = PackedHead::pack(head).unwrap();
        let mut disk = b"before".to_vec();
        packed.to_disk(&mut disk);
        let read = PackedHead::from_disk(&disk[6..]).unwrap();
        assert_eq!(read, packed);
        [packed, read].map(|packed| {
            // Memory that held something else.
            let mut unpacked =
                self::head(404, &[(b"Old", b"1"), (b"Etag", b"2"), (b"Other", b"3")]);
            unpacked.declared_length = Some(1);
            packed.unpack(&mut unpacked);
            assert_eq!(unpacked.declared_length, None);
            unpacked
        })
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let mut whole = ResponseHead::new(200);
        let received = b"HTTP/1.1 200 Fine by me\r\n";
        whole.fields.load(received);
        whole.set_reason(13..23);
        whole.fields.push(b"Content-Type", b"text/html");
        whole.fields.push(b"Content-Length", b"5");
        whole.fields.push(b"X-Empty", b"");
        whole.fields.push(b"ETAG", b"\"a: b\"");
        whole.fields.push(b"Set-Cookie", b"a=1");
        whole.fields.push(b"set-cookie", b"caf\xe9");
        whole.fields.rewrite(FieldId::ContentType, |_| Some(b"text/plain".to_vec()));
        for unpacked in both_ways(&whole) {
            assert_eq!(text(&unpacked), text(&whole));
            assert_eq!(unpacked.reason(), b"Fine by me");
            assert_eq!(unpacked.fields.first(FieldId::Etag), Some(&b"\"a: b\""[..]));
            assert_eq!(unpacked.fields.all(FieldId::SetCookie).count(), 2);
            assert_eq!(unpacked.fields.first(FieldId::ContentLength), None);
            let mut lines = Vec::new();
            unpacked.fields.write_lines(doorman_http::FieldSet::default(), &mut lines);
            assert!(lines.starts_with(b"Content-Type: text/plain\r\nX-Empty: \r\n"));
        }
        let packed = PackedHead::pack(&whole).unwrap();
        assert_eq!(packed.status(), 200);
        assert_eq!(packed.first(FieldId::SetCookie), Some(&b"a=1"[..]));
        assert_eq!(packed.first(FieldId::Age), None);
        for unpacked in both_ways(&ResponseHead::new(599)) {
            assert_eq!(text(&unpacked), "599 |");
        }
    }

    #[test]
    fn a_field_is_added_behind_the_others() {
        let mut whole = head(200, &[(b"Content-Type", b"text/html")]);
        let added = PackedHead::pack(&whole).unwrap().with_field(FieldId::Etag, b"\"a\"").unwrap();
        whole.fields.push_id(FieldId::Etag, b"\"a\"");
        assert_eq!(added, PackedHead::pack(&whole).unwrap());
        assert_eq!(added.first(FieldId::Etag), Some(&b"\"a\""[..]));
        assert_eq!(added.with_field(FieldId::Etag, &[b'x'; 65_536]), None);
    }

    #[test]
    fn what_is_too_wide_is_not_packed() {
        let name = [b'x'; 256];
        assert!(PackedHead::pack(&head(200, &[(&name[..255], b"1")])).is_some());
        assert!(PackedHead::pack(&head(200, &[(&name, b"1")])).is_none());
        let value = vec![b'x'; 65_536];
        assert!(PackedHead::pack(&head(200, &[(b"x", &value[..65_535])])).is_some());
        assert!(PackedHead::pack(&head(200, &[(b"x", &value)])).is_none());
        let fields = vec![(&b"x"[..], &b""[..]); 65_536];
        assert!(PackedHead::pack(&head(200, &fields[..65_535])).is_some());
        assert!(PackedHead::pack(&head(200, &fields)).is_none());
    }

    #[test]
    fn damaged_heads_are_not_read() {
        let front = |status: u16, count: u16, reason: u16| {
            [status, count, reason].map(u16::to_le_bytes).concat()
        };
        let check = |front: Vec<u8>, text: &[u8], expect: bool| {
            let read = PackedHead::from_disk(&[&front, text].concat());
            assert_eq!(read.is_ok(), expect, "{front:?} {}", String::from_utf8_lossy(text));
        };
        check(front(200, 1, 0), b"A: 1\r\n", true);
        check(front(200, 2, 2), b"A: 1\r\nB: \r\nOK", true);
        check(front(199, 1, 0), b"A: 1\r\n", false);
        check(front(600, 1, 0), b"A: 1\r\n", false);
        check(front(200, 0, 0), b"A: 1\r\n", false);
        check(front(200, 2, 0), b"A: 1\r\n", false);
        check(front(200, u16::MAX, 0), b"A: 1\r\n", false);
        check(front(200, 1, 1), b"A: 1\r\n", false);
        check(front(200, 1, 1), b"A: 1\r\n\n", false);
        for text in [
            &b""[..],
            b"A: 1",
            b"A: 1\n",
            b"A: 1\r",
            b"A:1\r\n",
            b"A : 1\r\n",
            b": 1\r\n",
            b"A: \0\r\n",
            b"A: 1\r\r\n",
            b"A: 1\n\r\n",
            b"A\r\n: 1\r\n",
            b"A: 1\r\nB",
            b"\xC3: 1\r\n",
        ] {
            check(front(200, 1, 0), text, false);
        }
        for len in 0..FRONT {
            assert_eq!(PackedHead::from_disk(&front(200, 0, 0)[..len]), Err(Damaged));
        }
        check(front(200, 0, 0), b"", true);
    }

    proptest! {
        #[test]
        fn heads_come_back(
            status in 200..600u16,
            fields in prop::collection::vec(("[!-9;-~]{1,20}", "([!-~\u{e9}]([ -~\t]{0,20}[!-~])?)?"), 0..20),
        ) {
            let mut whole = ResponseHead::new(status);
            for (name, value) in &fields {
                let _ = whole.fields.append(name.as_bytes(), value.as_bytes());
            }
            for unpacked in both_ways(&whole) {
                prop_assert_eq!(text(&unpacked), text(&whole));
            }
        }

        /// What is read from any bytes is written as those bytes.
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), damage in 0..48usize, to: u8) {
            let _ = PackedHead::from_disk(&bytes);
            let mut disk = Vec::new();
            PackedHead::pack(&head(200, &[(b"Etag", b"\"1\""), (b"X-A", b"b: c"), (b"Age", b"")]))
                .unwrap()
                .to_disk(&mut disk);
            let at = damage % disk.len();
            disk[at] = to;
            if let Ok(read) = PackedHead::from_disk(&disk) {
                let mut again = Vec::new();
                read.to_disk(&mut again);
                prop_assert_eq!(&again, &disk);
                let mut unpacked = ResponseHead::new(200);
                read.unpack(&mut unpacked);
                prop_assert_eq!(PackedHead::pack(&unpacked).map(|packed| packed.size() <= read.size()), Some(true));
            }
        }
    }
}
