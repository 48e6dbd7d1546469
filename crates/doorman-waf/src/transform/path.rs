//! Paths without detours.
//!
//! The result is built as a stack of bytes: `..` takes the last segment off again. Nothing is ever
//! taken off twice, so that it is linear.

use std::ops::ControlFlow::{self, Break, Continue};

use memchr::{memchr2, memchr3};

/// What separates segments.
#[derive(Clone, Copy)]
pub(super) enum Style {
    /// `/`.
    Unix,
    /// `\` too; it becomes `/`.
    Windows,
}

/// `normalizePath`, `normalizePathWin`. Whether something changed.
pub(super) fn apply(input: &[u8], style: Style, out: &mut Vec<u8>) -> bool {
    let is_plain = match style {
        Style::Unix => memchr2(b'/', b'.', input).is_none(),
        Style::Windows => memchr3(b'/', b'.', b'\\', input).is_none(),
    };
    if is_plain {
        return false;
    }
    normalize(input, style, out);
    out != input
}

/// Without empty segments, `.` and `..`. A `..` that leads out
/// of a relative path stays; one that leads out of the root does not.
fn normalize(input: &[u8], style: Style, out: &mut Vec<u8>) {
    let Some(last) = input.len().checked_sub(1) else { return };
    let at = |place: usize| match (style, input[place]) {
        (Style::Windows, b'\\') => b'/',
        (_, byte) => byte,
    };
    let mut walk = Walk { out, relative: at(0) != b'/', stuck: false };
    let mut place = 0;
    while place <= last {
        let is_last = place == last;
        if is_last || at(place + 1) == b'/' {
            match walk.end_segment(at(place), is_last) {
                Continue(skipped) => place += skipped,
                Break(()) => break,
            }
        }
        if at(place) == b'/' {
            while place < last && at(place + 1) == b'/' {
                place += 1;
            }
            if walk.relative && walk.out.is_empty() {
                place += 1;
                continue;
            }
        }
        walk.out.push(at(place));
        place += 1;
    }
    if at(last) != b'/' && out.last() == Some(&b'/') {
        out.pop();
    }
}

struct Walk<'a> {
    out: &'a mut Vec<u8>,
    relative: bool,
    /// Nothing is left that a `..` could take off.
    stuck: bool,
}

impl Walk<'_> {
    /// The last byte of a segment is next: how many bytes are not copied for it. `Break`: the input
    /// is over with it.
    fn end_segment(&mut self, byte: u8, is_last: bool) -> ControlFlow<(), usize> {
        let before = self.out.last().copied();
        match (byte, before) {
            (b'/', _) if !is_last => return Continue(0),
            // A name that only ends so, `passwd..`, is a name: ModSecurity takes it for a way up, and would hide
            // `/etc/passwd..` from rules that look for it.
            (b'.', Some(b'.')) if !self.is_way_up() => {
                self.stuck = false;
                return Continue(0);
            }
            (b'.', Some(b'.')) => {
                if self.relative && (self.stuck || self.out.len() <= 2) {
                    self.stuck = true;
                    return Continue(0);
                }
                self.back(is_last);
            }
            (b'.', None) => {}
            (b'.', Some(b'/')) => {
                if !is_last {
                    self.out.pop();
                }
            }
            (b'.', Some(_)) => return Continue(0),
            (_, before) => {
                self.stuck &= before.is_none();
                return Continue(0);
            }
        }
        if is_last { Break(()) } else { Continue(1) }
    }

    /// Whether the segment has nothing before the point that is last in it.
    fn is_way_up(&self) -> bool {
        let before = self.out.len().checked_sub(2).and_then(|place| self.out.get(place));
        before.is_none_or(|&byte| byte == b'/')
    }

    /// Takes off the first point of `..` and the segment before it.
    fn back(&mut self, is_last: bool) {
        let end = self.out.len().saturating_sub(3);
        let kept = self.out.get(..=end).unwrap_or_default();
        let kept = kept.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        self.out.truncate(kept);
        if kept == 0 {
            self.stuck = true;
            if !self.relative && is_last {
                self.out.push(b'/');
            }
        }
    }
}
