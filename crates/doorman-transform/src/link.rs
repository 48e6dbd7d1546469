//! `Link` fields (RFC 8288): which of their links a client could follow before it has the response.
//!
//! A line is read by the algorithm of appendix B.2, and a link is handed out as the bytes that its
//! origin wrote: nothing of it is understood but by what relation it is linked, so nothing can be made
//! of it that the origin has not said.

/// The links of one line that are worth following early: those that are preloaded or connected to.
///
/// What stands behind something that is no link is not read, and a link that is about something else
/// than the response (`anchor`, section 3.2) is left out.
pub fn early_links(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    Links { rest: line }.filter(Link::is_early).map(|link| link.text)
}

/// Relations of which browsers make something before the response is there ("link types" of HTML).
const EARLY: [&[u8]; 3] = [b"preload", b"modulepreload", b"preconnect"];

/// One link-value.
#[derive(Clone, Copy, Debug)]
struct Link<'a> {
    /// All of it, from `<` on.
    text: &'a [u8],
    /// The first `rel`: others are ignored (section 3.3).
    relations: &'a [u8],
    /// Whether it is about another resource.
    has_anchor: bool,
}

impl Link<'_> {
    fn is_early(&self) -> bool {
        let mut relations = self.relations.split(|b| *b == b' ');
        !self.has_anchor
            && relations.any(|name| EARLY.iter().any(|early| name.eq_ignore_ascii_case(early)))
    }
}

struct Links<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Links<'a> {
    type Item = Link<'a>;

    fn next(&mut self) -> Option<Link<'a>> {
        // Elements of a list may be empty (RFC 9110 section 5.6.1.2).
        let from = self.rest.iter().position(|b| !is_space(*b) && *b != b',')?;
        let text = self.rest.get(from..)?;
        let target = text.strip_prefix(b"<")?;
        let end = target.iter().position(|b| *b == b'>')?;
        let mut rest = target.get(end + 1..)?;
        let (mut relations, mut has_anchor) = (None, false);
        while let Some((name, value, behind)) = parameter(rest) {
            rest = behind;
            if name.eq_ignore_ascii_case(b"rel") {
                relations.get_or_insert(value);
            }
            has_anchor |= name.eq_ignore_ascii_case(b"anchor");
        }
        let text = text.get(..text.len() - rest.len())?.trim_ascii_end();
        self.rest = trim_start(rest);
        if !matches!(self.rest, [] | [b',', ..]) {
            // What stands behind the parameters is none.
            self.rest = &[];
            return None;
        }
        Some(Link { text, relations: relations.unwrap_or_default(), has_anchor })
    }
}

/// The parameter at the front of `rest`: its name, its value, and what stands behind it (appendix
/// B.3). `None` at the end of the link.
fn parameter(rest: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let rest = trim_start(trim_start(rest).strip_prefix(b";")?);
    let end = rest.iter().position(|b| b"=;,".contains(b)).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    let name = name.trim_ascii();
    let Some(value) = rest.strip_prefix(b"=") else { return Some((name, b"", rest)) };
    let value = trim_start(value);
    if let Some(quoted) = value.strip_prefix(b"\"") {
        let end = quoted_end(quoted)?;
        let (value, rest) = quoted.split_at(end);
        return Some((name, value, rest.get(1..).unwrap_or_default()));
    }
    let end = value.iter().position(|b| b";,".contains(b)).unwrap_or(value.len());
    let (value, rest) = value.split_at(end);
    Some((name, value.trim_ascii(), rest))
}

/// Where the quote is that ends a quoted string. A value with an escape in it is taken as it is
/// written: no relation is written so.
fn quoted_end(quoted: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    quoted.iter().position(|b| {
        let ends = *b == b'"' && !is_escaped;
        is_escaped = *b == b'\\' && !is_escaped;
        ends
    })
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    let from = bytes.iter().position(|b| !is_space(*b)).unwrap_or(bytes.len());
    bytes.get(from..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(line: &str, expect: &[&str]) {
        let links: Vec<_> =
            early_links(line.as_bytes()).map(|link| String::from_utf8_lossy(link)).collect();
        assert_eq!(links, expect, "{line}");
    }

    #[test]
    fn links_are_handed_out_as_they_were_written() {
        check("</a.css>; rel=preload; as=style", &["</a.css>; rel=preload; as=style"]);
        check("</a.css>;rel=\"preload\";as=style", &["</a.css>;rel=\"preload\";as=style"]);
        check(
            "<https://cdn.test>; rel=preconnect; crossorigin",
            &["<https://cdn.test>; rel=preconnect; crossorigin"],
        );
        check("</m.js>; REL=ModulePreload", &["</m.js>; REL=ModulePreload"]);
        check("  </a> ; rel = preload  ", &["</a> ; rel = preload"]);
        check("<>; rel=preload", &["<>; rel=preload"]);
    }

    #[test]
    fn several_links_stand_in_a_line() {
        check(
            "</a>; rel=preload; as=style, </b>;rel=preload;as=script ,, </c>; rel=next",
            &["</a>; rel=preload; as=style", "</b>;rel=preload;as=script"],
        );
        // Commas and semicolons in targets and in quotes are no ends.
        check(
            "</a,b;c>; title=\"x, y; z\"; rel=preload, </d>; rel=\"prefetch preload\"",
            &["</a,b;c>; title=\"x, y; z\"; rel=preload", "</d>; rel=\"prefetch preload\""],
        );
        check(
            "</a>; title=\"say \\\"hi\\\", ok\"; rel=preload, </b>; title=\"\\\\\"; rel=preload",
            &[
                "</a>; title=\"say \\\"hi\\\", ok\"; rel=preload",
                "</b>; title=\"\\\\\"; rel=preload",
            ],
        );
    }

    #[test]
    fn what_is_not_for_early_stays() {
        check("", &[]);
        check("</a>", &[]);
        check("</a>; rel=stylesheet", &[]);
        check("</a>; rel=preloaded, </b>; rel=\"pre load\"", &[]);
        check("</a>; as=preload", &[]);
        check("</a>; title=\"; rel=preload\"", &[]);
        // The first counts.
        check("</a>; rel=next; rel=preload", &[]);
        check("</a>; rel=preload; rel=next", &["</a>; rel=preload; rel=next"]);
        // About another resource.
        check("</a>; rel=preload; anchor=\"/b\", </c>; rel=preload", &["</c>; rel=preload"]);
    }

    #[test]
    fn what_is_no_link_ends_the_line() {
        check("</a>; rel=preload, b; rel=preload, </c>; rel=preload", &["</a>; rel=preload"]);
        check("</a; rel=preload", &[]);
        check("</a> rel=preload", &[]);
        check("</a>; rel=\"preload", &[]);
        check("</a>; rel=\"preload\" b, </c>; rel=preload", &[]);
        check("a>; rel=preload", &[]);
    }

    proptest! {
        /// Whatever stands in a line: what is handed out is a part of it, and reads as itself.
        #[test]
        fn links_are_parts_of_their_line(line in "[<>;=,\"\\\\ a-c/]{0,40}(<a>; ?rel=\"?preload\"?)?[<>;=,\" a]{0,20}") {
            for link in early_links(line.as_bytes()) {
                prop_assert!(line.contains(std::str::from_utf8(link).unwrap()));
                prop_assert!(link.starts_with(b"<"));
                prop_assert_eq!(early_links(link).collect::<Vec<_>>(), vec![link]);
            }
        }
    }
}
