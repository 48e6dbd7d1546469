//! Comments of SQL and HTML.

use memchr::memmem;

/// `replaceComments`: `/* */` becomes a space; one that does not end, too.
pub(super) fn replace(marked: &[u8], out: &mut Vec<u8>) -> usize {
    let Some(comment) = marked.strip_prefix(b"/*") else {
        out.push(marked[0]);
        return 1;
    };
    out.push(b' ');
    match memmem::find(comment, b"*/") {
        Some(end) => 2 + end + 2,
        None => marked.len(),
    }
}

pub(super) fn find(rest: &[u8]) -> Option<usize> {
    rest.iter().position(|byte| matches!(byte, b'/' | b'<' | b'-' | b'#'))
}

/// `removeComments`: `/* */` and `<!-- -->` (either ends either) are gone, `--` and `#` take all that
/// follows with them; one that does not end leaves a space.
pub(super) fn remove(marked: &[u8], out: &mut Vec<u8>) -> usize {
    let start = match marked {
        [b'/', b'*', ..] => 2,
        [b'<', b'!', b'-', b'-', ..] => 4,
        [b'-', b'-', ..] | [b'#', ..] => return marked.len(),
        _ => {
            out.push(marked[0]);
            return 1;
        }
    };
    match end(&marked[start..]) {
        Some(length) => start + length,
        None => {
            out.push(b' ');
            marked.len()
        }
    }
}

/// Past whichever end comes first.
fn end(comment: &[u8]) -> Option<usize> {
    // Byte by byte: a search for each end on its own would look at all that follows for one that is
    // nowhere, once for every comment.
    (0..comment.len()).find_map(|at| match comment[at..] {
        [b'*', b'/', ..] => Some(at + 2),
        [b'-', b'-', b'>', ..] => Some(at + 3),
        _ => None,
    })
}

pub(super) fn find_marks(rest: &[u8]) -> Option<usize> {
    rest.iter().position(|byte| matches!(byte, b'/' | b'*' | b'<' | b'-' | b'#'))
}

/// `removeCommentsChar`: the marks of comments, not what is in them.
pub(super) fn remove_marks(marked: &[u8], out: &mut Vec<u8>) -> usize {
    match marked {
        [b'/', b'*', ..] | [b'*', b'/', ..] => 2,
        [b'<', b'!', b'-', b'-', ..] => 4,
        [b'-', b'-', b'>', ..] => 3,
        [b'-', b'-', ..] => 2,
        [b'#', ..] => 1,
        _ => {
            out.push(marked[0]);
            1
        }
    }
}
