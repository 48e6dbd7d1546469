//! Header and trailer fields as a compact ordered table over one buffer.
//!
//! A field is two ranges and a small id; names that the proxy itself cares about get their id
//! once, when the field is read, so that no later step compares names. Edits append to the buffer;
//! nothing is moved. The buffer and the table are reused from message to message.

use crate::desync::Anomaly;
use crate::{FieldId, FieldSet};

/// A range of the buffer. 32 bits, so that no length is ever cut to fit its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    pub(crate) const fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(crate) const fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// A range within this one, counted from its start; empty past its end.
    pub(crate) fn part(self, range: std::ops::Range<usize>) -> Self {
        if range.end > self.len() {
            return Self::default();
        }
        let start = self.start as usize;
        span(start + range.start..start + range.end)
    }
}

/// One field: where its name and value lie.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    id: FieldId,
    kept: bool,
    /// Name and value lie in the buffer as they stand in a head: `name: value` and a line end.
    is_line: bool,
    name: Span,
    value: Span,
}

impl Field {
    /// The id of the name.
    #[must_use]
    pub const fn id(&self) -> FieldId {
        self.id
    }
}

/// A field line of a head: where its parts lie in it.
#[derive(Clone, Debug)]
pub struct FieldLine {
    /// The name's id.
    pub id: FieldId,
    /// The name.
    pub name: std::ops::Range<usize>,
    /// The value, without white space around it.
    pub value: std::ops::Range<usize>,
    /// Whether it stands there as a writer writes it: name, colon, one space, value, line end.
    pub is_line: bool,
}

/// An ordered list of fields over one buffer.
///
/// Fields that were received but must not be forwarded (framing, hop-by-hop) stay visible through
/// [`Fields::received`]; everything else sees only the kept ones.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    table: Vec<Field>,
    /// The names in the table: exact for each known one.
    names: FieldSet,
}

impl Fields {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), table: Vec::new(), names: FieldSet::NONE }
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.table.clear();
        self.names = FieldSet::NONE;
    }

    /// Marks the bytes at `line` of a head that is about to be loaded as a field's line, to be read
    /// when the head is known to be whole.
    #[inline]
    pub fn mark(&mut self, line: std::ops::Range<usize>) {
        let (name, value) = (Span::default(), span(line));
        self.table.push(Field { id: FieldId::Other, kept: false, is_line: false, name, value });
    }

    /// The line that was marked as number `index`; empty if none was.
    #[must_use]
    #[inline]
    pub fn marked(&self, index: usize) -> std::ops::Range<usize> {
        self.table.get(index).map_or(0..0, |f| f.value.start as usize..f.value.end as usize)
    }

    /// Makes `head` the buffer, copied in one piece. Lines that were marked in it stay marked, and
    /// become fields with [`Fields::place`].
    pub fn load(&mut self, head: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(head);
    }

    /// Makes the line that was marked as number `index` the field that its reader found in it.
    #[inline]
    pub fn place(&mut self, index: usize, line: &FieldLine) {
        let FieldLine { id, ref name, ref value, is_line } = *line;
        let kept = !id.is_hop_by_hop();
        self.names.add(id);
        if let Some(field) = self.table.get_mut(index) {
            let (name, value) = (span(name.clone()), span(value.clone()));
            *field = Field { id, kept, is_line, name, value };
        }
    }

    /// Appends a field. The caller vouches for both being valid: use [`Fields::append`] for
    /// anything that is not a constant or read by a codec.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> FieldId {
        let id = FieldId::of(name);
        self.push_line(id, name, value);
        id
    }

    /// Appends a field whose name's id is known already; the caller vouches for all three.
    pub fn push_line(&mut self, id: FieldId, name: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        let (name_end, value_start) = (start + name.len(), start + name.len() + 2);
        let value_end = value_start + value.len();
        self.bytes.reserve(value_end + 2 - start);
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(b": ");
        self.bytes.extend_from_slice(value);
        self.bytes.extend_from_slice(b"\r\n");
        let (name, value) = (span(start..name_end), span(value_start..value_end));
        self.add(Field { id, kept: !id.is_hop_by_hop(), is_line: true, name, value });
    }

    fn add(&mut self, field: Field) {
        self.names.add(field.id);
        self.table.push(field);
    }

    /// Appends a field by its id.
    pub fn push_id(&mut self, id: FieldId, value: &[u8]) {
        self.push_line(id, id.name().as_bytes(), value);
    }

    /// Appends a field by its id whose value lies in the buffer already.
    pub(crate) fn push_span(&mut self, id: FieldId, value: Span) {
        let name = self.store(id.name().as_bytes());
        self.add(Field { id, kept: !id.is_hop_by_hop(), is_line: false, name, value });
    }

    /// Appends a field if its name is a token and its value has no byte that could end a line
    /// (RFC 9110 sections 5.1 and 5.5), and says whether it did: the one gate for text that comes
    /// from templates and edits.
    #[must_use]
    pub fn append(&mut self, name: &[u8], value: &[u8]) -> bool {
        let valid = is_token(name) && is_field_value(value);
        if valid {
            self.push(name, value);
        }
        valid
    }

    /// Replaces all fields of that name by one. Says whether name and value were valid; if not,
    /// nothing changes.
    #[must_use]
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> bool {
        if !is_token(name) || !is_field_value(value) {
            return false;
        }
        self.remove(name);
        self.push(name, value);
        true
    }

    /// Removes every field of that name; says how many there were. `x_user` goes with `X-User`:
    /// origins that read marks as hyphens must not get the one when the other is managed.
    pub fn remove(&mut self, name: &[u8]) -> usize {
        let id = FieldId::of(name);
        if id != FieldId::Other {
            return self.remove_id(id);
        }
        let before = self.table.len();
        let bytes = &self.bytes;
        self.table.retain(|f| f.id != FieldId::Other || !reads_as(f.name.of(bytes), name));
        before - self.table.len()
    }

    /// Removes every field with that id; says how many there were.
    pub fn remove_id(&mut self, id: FieldId) -> usize {
        if !self.has(id) {
            return 0;
        }
        let before = self.table.len();
        self.table.retain(|f| f.id != id);
        self.names.remove(id);
        before - self.table.len()
    }

    /// Hides every field that `connection` names as an option: they belong to the connection
    /// (RFC 9110 section 7.6.1). The codec has refused options that name framing before.
    pub fn drop_nominated(&mut self, option: &[u8]) {
        let bytes = &self.bytes;
        for field in &mut self.table {
            if field.name.of(bytes).eq_ignore_ascii_case(option) {
                field.kept = false;
            }
        }
    }

    /// Hides every field whose name imitates a known one ([`FieldId::is_imitated_by`]): codecs call
    /// this for requests that hold a name with marks other than hyphens. Says the worst of what was hidden.
    pub fn hide_imitations(&mut self) -> Option<Anomaly> {
        let bytes = &self.bytes;
        let mut worst: Option<Anomaly> = None;
        for field in self.table.iter_mut().filter(|field| field.id == FieldId::Other) {
            if let Some(anomaly) = imitation(field.name.of(bytes)) {
                field.kept = false;
                worst = Some(worst.map_or(anomaly, |worst| worst.worse(anomaly)));
            }
        }
        worst
    }

    /// Hides every field with that id, which stays visible as received.
    pub fn hide(&mut self, id: FieldId) {
        for field in self.table.iter_mut().filter(|f| f.id == id) {
            field.kept = false;
        }
    }

    /// Rewrites the values of the fields with that id: `edit` gets each and returns the new
    /// value, or `None` to leave it. A new value that is not valid drops the field.
    pub fn rewrite(&mut self, id: FieldId, mut edit: impl FnMut(&[u8]) -> Option<Vec<u8>>) {
        for i in 0..self.table.len() {
            if self.table[i].id != id {
                continue;
            }
            let Some(value) = edit(self.table[i].value.of(&self.bytes)) else { continue };
            self.table[i].kept &= is_field_value(&value);
            self.table[i].value = self.store(&value);
            self.table[i].is_line = false;
        }
    }

    /// The value of the field at `index` of all that were received; empty if there is none.
    #[must_use]
    #[inline]
    pub fn value(&self, index: usize) -> &[u8] {
        self.table.get(index).map_or(b"", |field| field.value.of(&self.bytes))
    }

    /// The value of a field that stands here once. Of one that may stand once and stands twice nobody
    /// knows which its reader will believe.
    #[must_use]
    pub fn sole(&self, id: FieldId) -> Option<&[u8]> {
        let mut lines = self.all(id);
        let (only, None) = (lines.next()?, lines.next()) else { return None };
        Some(only)
    }

    /// The first value of a known name, received or kept.
    #[must_use]
    #[inline]
    pub fn first(&self, id: FieldId) -> Option<&[u8]> {
        if !self.has(id) {
            return None;
        }
        self.table.iter().find(|f| f.id == id).map(|f| f.value.of(&self.bytes))
    }

    /// The first value of `name`.
    #[must_use]
    pub fn first_named(&self, name: &[u8]) -> Option<&[u8]> {
        match FieldId::of(name) {
            FieldId::Other => self
                .table
                .iter()
                .find(|f| {
                    f.id == FieldId::Other && f.name.of(&self.bytes).eq_ignore_ascii_case(name)
                })
                .map(|f| f.value.of(&self.bytes)),
            id => self.first(id),
        }
    }

    /// All values of a known name, in order.
    pub fn all(&self, id: FieldId) -> impl Iterator<Item = &[u8]> {
        self.table.iter().filter(move |f| f.id == id).map(|f| f.value.of(&self.bytes))
    }

    /// All values of `name`, in order.
    pub fn all_named<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.table
            .iter()
            .filter(move |f| f.name.of(&self.bytes).eq_ignore_ascii_case(name))
            .map(|f| f.value.of(&self.bytes))
    }

    /// Whether a field of that known name is there.
    #[must_use]
    #[inline]
    pub const fn has(&self, id: FieldId) -> bool {
        self.names.has(id)
    }

    /// Whether a field of any of these known names is there.
    #[must_use]
    #[inline]
    pub const fn has_any(&self, ids: FieldSet) -> bool {
        self.names.meets(ids)
    }

    /// The fields to forward, in order: id, name, value.
    pub fn iter(&self) -> impl Iterator<Item = (FieldId, &[u8], &[u8])> {
        self.table
            .iter()
            .filter(|f| f.kept)
            .map(|f| (f.id, f.name.of(&self.bytes), f.value.of(&self.bytes)))
    }

    /// Appends the fields to forward to `out`, each as a line of a head, but those with a name in
    /// `but`; says how many lines that were. Neighbours that stand in the buffer as they will stand
    /// in the head are copied together: of most heads that is nearly all of it.
    pub fn write_lines(&self, but: FieldSet, out: &mut Vec<u8>) -> usize {
        let mut lines = 0;
        let mut run = 0..0;
        for field in self.table.iter().filter(|f| f.kept && !but.has(f.id)) {
            lines += 1;
            let (start, end) = (field.name.start as usize, field.value.end as usize + 2);
            if field.is_line && start == run.end {
                run.end = end;
                continue;
            }
            out.extend_from_slice(self.bytes.get(run).unwrap_or_default());
            run = 0..0;
            if field.is_line {
                run = start..end;
                continue;
            }
            out.extend_from_slice(field.name.of(&self.bytes));
            out.extend_from_slice(b": ");
            out.extend_from_slice(field.value.of(&self.bytes));
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(self.bytes.get(run).unwrap_or_default());
        lines
    }

    /// The fields to forward, in order: id, and where in [`Fields::bytes`] name and value lie.
    pub fn places(
        &self,
    ) -> impl Iterator<Item = (FieldId, std::ops::Range<usize>, std::ops::Range<usize>)> {
        self.table.iter().filter(|f| f.kept).map(|f| (f.id, f.name.range(), f.value.range()))
    }

    /// Every field as received, framing and hop-by-hop included.
    pub fn received(&self) -> impl Iterator<Item = (FieldId, &[u8], &[u8])> {
        self.table.iter().map(|f| (f.id, f.name.of(&self.bytes), f.value.of(&self.bytes)))
    }

    /// How many fields there are, hidden ones included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is no field.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The bytes that the buffer holds: what this list costs in memory, bytes.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.bytes.len() + self.table.len() * size_of::<Field>()
    }

    /// The one value of a field that may be there once.
    pub(crate) fn only(&self, id: FieldId) -> Result<Option<Span>, Several> {
        let mut all = self.table.iter().filter(|f| f.id == id);
        let first = all.next().map(|f| f.value);
        if all.next().is_some() { Err(Several) } else { Ok(first) }
    }

    /// Stores `prefix` and after it a copy of what lies at `rest`.
    pub(crate) fn store_after(&mut self, prefix: &[u8], rest: Span) -> Span {
        let start = self.store(prefix).start as usize;
        let rest = rest.start as usize..(rest.start as usize + rest.len()).min(start);
        self.bytes.extend_from_within(rest);
        span(start..self.bytes.len())
    }

    /// Stores a lower-case copy of what lies at `at`.
    pub(crate) fn store_lower(&mut self, at: Span) -> Span {
        let copy = self.store_after(b"", at);
        self.bytes[copy.start as usize..].make_ascii_lowercase();
        copy
    }

    pub(crate) fn store(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        span(start..self.bytes.len())
    }

    /// The buffer in which all names and values lie.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A field that may be there once is there more often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Several;

/// A buffer never comes near 4 GiB: heads are bounded to some KiB. Past it a range is empty.
pub(crate) fn span(range: std::ops::Range<usize>) -> Span {
    match (u32::try_from(range.start), u32::try_from(range.end)) {
        (Ok(start), Ok(end)) => Span { start, end },
        _ => Span::default(),
    }
}

/// What is odd about a name that imitates a known one.
#[must_use]
pub fn imitation(name: &[u8]) -> Option<Anomaly> {
    Some(match FieldId::imitated_by(name)? {
        FieldId::ContentLength | FieldId::TransferEncoding => Anomaly::ImitatedFraming,
        _ => Anomaly::ImitatedField,
    })
}

/// Whether a reader that takes marks for hyphens could take `received` for `name`.
fn reads_as(received: &[u8], name: &[u8]) -> bool {
    received.len() == name.len()
        && received
            .iter()
            .zip(name)
            .all(|(&a, &b)| a.eq_ignore_ascii_case(&b) || (b == b'-' && !a.is_ascii_alphanumeric()))
}

/// RFC 9110 section 5.6.2: `tchar`.
const TCHAR: [bool; 256] = {
    let mut table = [false; 256];
    let marks = b"!#$%&'*+-.^_`|~";
    let mut i = 0;
    while i < marks.len() {
        table[marks[i] as usize] = true;
        i += 1;
    }
    let mut b = 0u8;
    while b < 128 {
        if b.is_ascii_alphanumeric() {
            table[b as usize] = true;
        }
        b += 1;
    }
    table
};

/// Whether `bytes` is a token (RFC 9110 section 5.6.2).
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| TCHAR[b as usize])
}

/// Whether `bytes` may be a field's value: no control byte but HTAB (RFC 9110 section 5.5).
/// Bytes above 0x7F are opaque and pass.
#[must_use]
pub fn is_field_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|&b| b == b'\t' || (b >= 0x20 && b != 0x7F))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_is_seen_but_not_forwarded() {
        let mut fields = Fields::new();
        fields.push(b"Content-Length", b"5");
        fields.push(b"X-A", b"1");
        assert_eq!(fields.iter().count(), 1);
        assert_eq!(fields.received().count(), 2);
        assert_eq!(fields.first(FieldId::ContentLength), Some(&b"5"[..]));
    }

    #[test]
    fn lines_are_written_as_each_field_would_be() {
        let head =
            b"GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB:2\r\nC:  3 \r\nD: \r\nTE: x\r\nE: 5\r\n\r\n";
        let mut fields = Fields::new();
        let text = std::str::from_utf8(head).unwrap();
        fields.load(head);
        let lines = text.split("\r\n").skip(1).take_while(|line| !line.is_empty());
        for (index, line) in lines.enumerate() {
            let at = line.as_ptr() as usize - text.as_ptr() as usize;
            let colon = line.find(':').unwrap();
            let value = line[colon + 1..].trim();
            let start = at + line.find(value).filter(|_| !value.is_empty()).unwrap_or(line.len());
            let (name, value) = (at..at + colon, start..start + value.len());
            let end = at + line.len();
            fields.mark(at..end);
            assert_eq!(fields.marked(index), at..end);
            let id = FieldId::at_front(&head[at..], colon);
            let is_line = value.start == name.end + 2 && value.end == end && colon + 1 < line.len();
            fields.place(index, &FieldLine { id, name, value, is_line });
        }
        fields.push(b"F", b"6");
        fields.push_id(FieldId::XForwardedProto, b"http");
        fields.push(b"G", b"7");
        fields.rewrite(FieldId::XForwardedProto, |_| Some(b"https".to_vec()));
        fields.remove(b"A");
        let check = |fields: &Fields, but: &[FieldId]| {
            let mut each = Vec::new();
            let kept = fields.iter().filter(|(id, ..)| !but.contains(id));
            let lines = kept
                .inspect(|(_, name, value)| {
                    each.extend([name, &b": "[..], value, b"\r\n"].concat())
                })
                .count();
            let mut together = Vec::new();
            assert_eq!(fields.write_lines(FieldSet::of(but), &mut together), lines);
            assert_eq!(String::from_utf8_lossy(&together), String::from_utf8_lossy(&each));
        };
        check(&fields, &[]);
        check(&fields, &[FieldId::Host]);
        check(&fields, &[FieldId::XForwardedProto]);
    }

    #[test]
    fn nominated_fields_are_hidden() {
        let mut fields = Fields::new();
        fields.push(b"X-Hop", b"1");
        fields.push(b"X-End", b"2");
        fields.drop_nominated(b"x-hop");
        let left: Vec<_> = fields.iter().map(|(_, n, _)| n.to_vec()).collect();
        assert_eq!(left, [b"X-End".to_vec()]);
    }

    #[test]
    fn imitations_are_hidden_and_removed_with_what_they_imitate() {
        let mut fields = Fields::new();
        fields.push(b"X_Forwarded_For", b"1");
        fields.push(b"content.length", b"2");
        fields.push(b"X_Own", b"3");
        fields.hide_imitations();
        let kept: Vec<_> = fields.iter().map(|(_, n, _)| n.to_vec()).collect();
        assert_eq!(kept, [b"X_Own".to_vec()]);
        assert_eq!(fields.remove(b"x-own"), 1);
        fields.push(b"X-Own", b"4");
        assert_eq!(fields.remove(b"x_own"), 0);
        assert!(!FieldId::is_imitated_by(b"Host"));
        assert!(!FieldId::is_imitated_by(b"x_a_name_that_is_longer_than_any_that_is_known"));
    }

    #[test]
    fn no_value_with_a_line_end_gets_in() {
        let mut fields = Fields::new();
        for bad in [&b"a\r\nx: y"[..], b"a\n", b"\0", b"\x7f", b"\x1b[0m"] {
            assert!(!fields.append(b"x-a", bad));
            assert!(!fields.set(b"x-a", bad));
        }
        assert!(!fields.append(b"x a", b"v"));
        assert!(!fields.append(b"", b"v"));
        assert!(fields.is_empty());
        assert!(fields.append(b"x-a", b"caf\xe9\tok"));
    }

    #[test]
    fn set_replaces_all_and_rewrite_edits_each() {
        let mut fields = Fields::new();
        fields.push(b"Set-Cookie", b"a=1");
        fields.push(b"set-cookie", b"b=2");
        fields.rewrite(FieldId::SetCookie, |v| Some([v, b"; Secure"].concat()));
        let all: Vec<_> = fields.all(FieldId::SetCookie).map(<[u8]>::to_vec).collect();
        assert_eq!(all, [b"a=1; Secure".to_vec(), b"b=2; Secure".to_vec()]);
        assert!(fields.set(b"SET-COOKIE", b"c=3"));
        assert_eq!(fields.len(), 1);
        assert_eq!(fields.remove(b"set-cookie"), 1);
    }
}
