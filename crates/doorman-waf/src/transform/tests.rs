use proptest::prelude::*;

use super::*;

fn apply(transformation: Transformation, input: &[u8]) -> Vec<u8> {
    let mut out = b"left from before".to_vec();
    if transformation.apply(input, &mut out) {
        assert_ne!(out, input, "{transformation:?} said that something changed");
        return out;
    }
    input.to_vec()
}

#[track_caller]
fn check(transformation: Transformation, cases: &[(&[u8], &[u8])]) {
    for (input, expected) in cases {
        let found = apply(transformation, input);
        assert_eq!(
            found.escape_ascii().to_string(),
            expected.escape_ascii().to_string(),
            "{transformation:?} of {}",
            input.escape_ascii()
        );
    }
}

#[test]
fn url() {
    check(
        Transformation::UrlDecode,
        &[
            (b"", b""),
            (b"plain", b"plain"),
            (b"a+b%20c%2fd%2F", b"a b c/d/"),
            (b"%", b"%"),
            (b"%4", b"%4"),
            (b"%4g%zz%%41", b"%4g%zz%A"),
            (b"%u0041", b"%u0041"),
            (b"%00x", b"\0x"),
        ],
    );
    check(
        Transformation::UrlDecodeUni,
        &[
            (b"%u0041%U0042", b"AB"),
            (b"%uff1cscript%uFF1e", b"<script>"),
            (b"%u2018%u201d%u0100%u00a0", b"'\"A "),
            (b"%u1234", b"4"),
            (b"%uff5f%uff00", b"\x5f\0"),
            (b"%u004", b"%u004"),
            (b"%u00g1%41", b"%u00g1A"),
            (b"%u%41", b"%uA"),
            (b"1+1%3d2", b"1 1=2"),
        ],
    );
    check(Transformation::UrlEncode, &[(b"a b*c/\xff", b"a+b*c%2f%ff"), (b"abc", b"abc")]);
}

#[test]
fn backslashes() {
    check(
        Transformation::JsDecode,
        &[
            (br"\u0041\x42\103", b"ABC"),
            (br"\uff1c\uFF1E", b"<>"),
            (br"\u00zz\xg", b"u00zzxg"),
            (br"\400\77\1018", b"\x200?A8"),
            (br"\a\b\f\n\r\t\v\?\\", b"\x07\x08\x0c\n\r\t\x0b?\\"),
            (br"\X41", b"X41"),
            (b"end\\", b"end\\"),
        ],
    );
    check(
        Transformation::EscapeSeqDecode,
        &[
            (br"\x41\X42\103", b"ABC"),
            (br"\777\18", b"\xff\x018"),
            (br#"\'\"\?\\\q"#, b"'\"?\\q"),
            (br"\x4", b"x4"),
            (b"end\\", b"end\\"),
        ],
    );
    check(
        Transformation::CssDecode,
        &[
            (br"\41 \042\000043x", b"ABCx"),
            (br"j\avascript", b"j\nvascript".as_slice()),
            (br"ja\vascript", b"javascript"),
            (b"a\\\nb", b"ab"),
            (br"\ff1c\0ff1c\00ff1c\1ff1c\01ff1c", b"<<<\x1c\x1c"),
            (b"\\41\t\tx", b"A\tx"),
            (b"end\\", b"end"),
            (b"\\41\0b", b"A\0b"),
        ],
    );
}

#[test]
fn entities() {
    check(
        Transformation::HtmlEntityDecode,
        &[
            (b"&lt;a&GT;&quot&amp;&nbsp;", b"<a>\"&\xa0"),
            (b"&#x3c;&#X3E&#60&#062;", b"<><>"),
            (b"&#;&#x;&;&", b"&#;&#x;&;&"),
            (b"&#&lt;", b"&#<"),
            (b"&ltx;&unknown;&copy", b"&ltx;&unknown;&copy"),
            (b"&#99999999999999999999;", b"\xff"),
            (b"&#x13c;", b"<"),
        ],
    );
}

#[test]
fn unicode() {
    check(
        Transformation::Utf8ToUnicode,
        &[
            ("aé€😀".as_bytes(), b"a%u00e9%u20ac%u1f600"),
            (b"\xc0\xaf", b"%u002f\xc0"),
            (b"\xe0\x80\xaf\xf0\x80\x80\xaf", b"%u002f\xe0%u002f\xf0"),
            (b"\xed\xa0\x80", b"%ud800\xed"),
            (b"\x80\xbf\xff", b"\x80\xbf\xff"),
            (b"\xc3", b""),
            (b"\xe2\x82x\xc3(", b"\x82x("),
            (b"\xf5\x80\x80\x80", b"\xf5%u140000"),
            (b"a\0b", b"ab"),
        ],
    );
}

#[test]
fn base64() {
    check(
        Transformation::Base64Decode,
        &[
            (b"aGVsbG8=", b"hello"),
            (b"aGVsbG8", b"hello"),
            (b"aGVs!bG8=", b"hel"),
            (b"a", b""),
            (b"!", b""),
        ],
    );
    check(
        Transformation::Base64DecodeExt,
        &[
            (b"a.G V!s\nbG8=", b"hello"),
            (b"aGVsbG8=aGVs", b"hello\x1a\x19\x5b".as_slice()),
            (b"aGVsa=", b""),
            (b"aGVsa==", b""),
            (b"QUJD9", b"ABC"),
        ],
    );
    check(
        Transformation::Base64Encode,
        &[(b"hello", b"aGVsbG8="), (b"hell", b"aGVsbA=="), (b"hel", b"aGVs"), (b"", b"")],
    );
}

#[test]
fn commands() {
    check(
        Transformation::CmdLine,
        &[
            (b"C^OM\\MAND /C dir", b"command/c dir"),
            (b"a,;\t\r\n b", b"a b"),
            (b"\"cmd\" \" (x)", b"cmd(x)"),
            (b"a ' ' b ", b"a b "),
        ],
    );
}

#[test]
fn comments() {
    check(
        Transformation::ReplaceComments,
        &[(b"a/*x*/b/*y", b"a b "), (b"/**//*/*/", b"  "), (b"a*/b", b"a*/b")],
    );
    check(
        Transformation::RemoveComments,
        &[
            (b"a/*x*/b", b"ab"),
            (b"a<!-- x -->b<!-c", b"ab<!-c"),
            (b"a/*x-->b", b"ab"),
            (b"a--b", b"a"),
            (b"a#b", b"a"),
            (b"/*x*//*y*/z", b"z"),
            (b"a/*x", b"a "),
        ],
    );
    check(
        Transformation::RemoveCommentsChar,
        &[(b"a/*b*/c<!--d-->e--f#g", b"abcdefg"), (b"//**/", b"/"), (b"-->-", b"-")],
    );
}

#[test]
fn spaces() {
    check(Transformation::CompressWhitespace, &[(b" a\t\n b\x0b", b" a b "), (b"a b", b"a b")]);
    check(Transformation::RemoveWhitespace, &[(b" a\t\xc2\xa0b\x0b", b"ab")]);
    check(Transformation::Trim, &[(b" \x0ba b\n", b"a b"), (b"  ", b"")]);
    check(Transformation::TrimLeft, &[(b" a ", b"a ")]);
    check(Transformation::TrimRight, &[(b" a ", b" a")]);
    check(Transformation::RemoveNulls, &[(b"\0a\0\0b", b"ab")]);
    check(Transformation::ReplaceNulls, &[(b"\0a\0\0b", b" a  b")]);
    check(Transformation::Lowercase, &[("aBÄ".as_bytes(), "abÄ".as_bytes())]);
    check(Transformation::Uppercase, &[("aBä".as_bytes(), "ABä".as_bytes())]);
}

#[test]
fn digits() {
    check(Transformation::HexEncode, &[(b"\x00aZ\xff", b"00615aff")]);
    check(
        Transformation::HexDecode,
        &[(b"61 b", b"a\x0b"), (b"616", b"a"), (b"5A5a", b"ZZ"), (b"6", b"")],
    );
    check(
        Transformation::SqlHexDecode,
        &[
            (b"select(0x414243,0X4)", b"select(ABC,0X4)"),
            (b"0x41420x43", b"ABC".as_slice()),
            (b"00x41g", b"0Ag"),
            (b"abc\x000x41", b"abc\0A"),
        ],
    );
    check(Transformation::Length, &[(b"", b"0"), (b"twelve bytes", b"12"), (b"1", b"1")]);
    let hex = |digest| apply(Transformation::HexEncode, &apply(digest, b""));
    assert_eq!(hex(Transformation::Md5), b"d41d8cd98f00b204e9800998ecf8427e");
    assert_eq!(hex(Transformation::Sha1), b"da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

#[test]
fn paths() {
    check(
        Transformation::NormalizePath,
        &[
            (b"", b""),
            (b"/", b"/"),
            (b"/a/b", b"/a/b"),
            (b"/a//b/./c/", b"/a/b/c/"),
            (b"/a/b/../../../etc", b"/etc"),
            (b"/..", b""),
            (b"../../a", b"../../a"),
            (b"a/../../b", b"../b".as_slice()),
            (b"a/b/..", b"a"),
            (b"/etc/passwd..", b"/etc/passwd.."),
            (b"x/abc../y", b"x/abc../y"),
            (b"/a/.../b", b"/a/.../b"),
            (b"./a/.", b"a"),
            (b".", b""),
            (b"..", b".."),
            (b"...", b"..."),
            (b"a\\..\\b", b"a\\..\\b"),
        ],
    );
    check(
        Transformation::NormalizePathWin,
        &[
            (b"\\a\\..\\b", b"/b"),
            (b"a\\\\\\\\b\\.\\c", b"a/b/c"),
            (b"..\\..\\windows/x\\", b"../../windows/x/"),
        ],
    );
}

/// Values of the bytes that transformations look at, so that they meet often.
fn marked() -> impl Strategy<Value = Vec<u8>> {
    let often =
        prop::sample::select(b"%+\\&#;xXuU0123afFgG/.*-!<> \t\n\0'\"^,(=\xc2\xa0\xe2\xff".to_vec());
    prop::collection::vec(prop_oneof![4 => often, 1 => any::<u8>()], 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_panics_and_nothing_grows_past_the_bound(input in marked()) {
        for transformation in Transformation::ALL {
            let out = apply(transformation, &input);
            prop_assert!(out.len() <= 4 * input.len() + 20, "{transformation:?}");
        }
    }

    #[test]
    fn what_is_proven_to_be_left_is_left(input in prop::collection::vec(any::<u8>(), 0..8), more in marked()) {
        for value in [&input, &more] {
            let present = ByteSet::present(value);
            for transformation in Transformation::ALL {
                if transformation.leaves(&present) {
                    prop_assert_eq!(&apply(transformation, value), value, "{:?}", transformation);
                }
            }
        }
    }

    #[test]
    fn what_is_encoded_is_decoded(input in prop::collection::vec(any::<u8>(), 0..40)) {
        use Transformation::{Base64Decode, Base64Encode, Base64DecodeExt, HexDecode, HexEncode, UrlDecode, UrlEncode};
        for (encode, decode) in [
            (Base64Encode, Base64Decode),
            (Base64Encode, Base64DecodeExt),
            (HexEncode, HexDecode),
            (UrlEncode, UrlDecode),
        ] {
            prop_assert_eq!(&apply(decode, &apply(encode, &input)), &input);
        }
    }
}

/// A value of one byte only, and of pairs, is what proofs are most easily wrong about.
#[test]
fn proofs_hold_for_all_short_values() {
    for first in 0..=u8::MAX {
        for second in 0..=u8::MAX {
            for value in [&[first, second][..], &[first, second, first], &[second]] {
                let present = ByteSet::present(value);
                for transformation in Transformation::ALL {
                    let light =
                        !matches!(transformation, Transformation::Md5 | Transformation::Sha1);
                    if light && transformation.leaves(&present) {
                        assert_eq!(apply(transformation, value), value, "{transformation:?}");
                    }
                }
            }
        }
    }
}
