//! Values for tests of the detectors.

use proptest::prelude::*;

/// Values of the marks and words that detectors look at.
pub(crate) fn spliced() -> impl Strategy<Value = Vec<u8>> {
    let sql = prop::sample::select(
        b"' \" ` -- # /* */ ( ) , ; . @ $ $$ $a$ \\ = <=> :: union select or and not in like 1 0x 1e\
          q'( x'4 b'1 n'a u&' if user( collate [ ] { } { `` into outfile sp_password"
            .split(|&byte| byte == b' ')
            .collect::<Vec<_>>(),
    );
    let html = prop::sample::select(
        b"< > </ /> <a <script <!-- --> --!> <! <!doctype <![CDATA[ ]]> <? <% %> = src href onload \
          style xmlns attributename javascript: &#106; &#x \" ' `"
            .split(|&byte| byte == b' ')
            .collect::<Vec<_>>(),
    );
    let any = prop::collection::vec(any::<u8>(), 0..3);
    let part = prop_oneof![
        4 => sql.prop_map(<[u8]>::to_vec),
        4 => html.prop_map(<[u8]>::to_vec),
        1 => any,
        2 => Just(b" ".to_vec()),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}
