//! Which byte of ASCII looks most like a character of another script, as Windows answers for code page
//! 20127 when an application there asks for ASCII: what an attacker may count on behind `%uxxxx`.
//!
//! Letters with marks become the bare letter, quotes of all kinds the plain ones, forms of full width
//! the common form. Made from what Unicode says of the characters; kept as lines of answers because
//! the codes are dense where there are any.

/// Answers for U+00A0 to U+01F0; `?` where there is none (the first is a space).
const LATIN: &[u8; 0x151] = b"\
\x20!c?$Y|??Ca<?-R???23???.,1o>????\
AAAAAAACEEEEIIIIDNOOOOO?OUUUUY??\
aaaaaaaceeeeiiii?nooooo?ouuuuy?y\
AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGg\
GgGgHhHhIiIiIiIiIi??JjKk?LlLlLl?\
?LlNnNnNn???OoOoOoOoRrRrRrSsSsSs\
SsTtTtTtUuUuUuUuUuUuWwYyYZzZzZz?\
b????????D???????Ff????I??l????O\
Oo?????????t??TUu?????z?????????\
?????????????AaIiOoUuUuUuUuUu?Aa\
????GgGgKkOoOo??j";

/// The byte for a character, where one looks like it.
pub(super) fn ascii(code: u16) -> Option<u8> {
    let offset = usize::from(code).wrapping_sub(0xa0);
    if let Some(&byte) = LATIN.get(offset) {
        return (byte != b'?').then_some(byte);
    }
    Some(match code {
        0x0261 => b'g',
        // Letters that modify, and marks.
        0x02b9 | 0x02bc | 0x02c8 | 0x2018 | 0x2019 | 0x2032 => b'\'',
        0x02ba | 0x030e | 0x201c..=0x201e => b'"',
        0x02c4 | 0x02c6 | 0x0302 => b'^',
        0x02cb | 0x0300 | 0x2035 => b'`',
        0x02cd | 0x0331 | 0x0332 => b'_',
        0x02dc | 0x0303 => b'~',
        // Spaces, dashes and points.
        0x2000..=0x2006 => b' ',
        0x2010 | 0x2011 | 0x2013 | 0x2014 => b'-',
        0x201a => b',',
        0x2022 | 0x2026 => b'.',
        0x2039 => b'<',
        0x203a => b'>',
        0x2122 => b'T',
        // Full width; the low byte of these is at most 0x5e.
        0xff01..=0xff5e => code.to_be_bytes()[1] + 0x20,
        _ => return None,
    })
}
