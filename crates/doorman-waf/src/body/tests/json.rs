//! What JSON documents say.

use super::*;

/// What stands behind `!` is the fault.
fn told(said: &Read) -> Vec<String> {
    let mut lines = shown(&said.arguments);
    lines.extend(said.fault.iter().map(|fault| fault.message().replace("JSON: ", "!")));
    lines
}

fn check(body: impl AsRef<[u8]>, expected: &[&str]) {
    let said = read(Processor::Json, "", &Bounds::default(), body.as_ref());
    assert_eq!(told(&said), expected, "{}", body.as_ref().escape_ascii());
}

const INCOMPLETE: &str = "!the document is not complete";
const WORD: &str = "!a word that is none of JSON's";
const ESCAPE: &str = "!an escape that is none of JSON's";

#[test]
fn names() {
    check("", &[]);
    check("{}", &[]);
    check("[]", &[]);
    check("1", &["json=1"]);
    check("\"a\"", &["json=a"]);
    check("{\"a\":1}", &["json.a=1"]);
    check("{\"a\":1,\"a\":2}", &["json.a=1", "json.a=2"]);
    check("{\"a\":{\"b\":1,\"c\":2},\"d\":3}", &["json.a.b=1", "json.a.c=2", "json.d=3"]);
    check("{\"a\":[1,2]}", &["json.a.array_0=1", "json.a.array_1=2"]);
    check(
        "[1,[2,{\"a\":3}],4]",
        &["json.array_0=1", "json.array_1.array_0=2", "json.array_1.array_1.a=3", "json.array_2=4"],
    );
    check("{\"\":1}", &["json.empty-key=1"]);
    check("{\"a.b\":1}", &["json.a.b=1"]);
    check("{\"a\":{},\"b\":[],\"c\":[{}]}", &["json.a=", "json.b=", "json.c.array_0="]);
    check(" \t\r\n{ \"a\" : [ 1 , 2 ] } \n", &["json.a.array_0=1", "json.a.array_1=2"]);
    check("\u{feff}{\"a\":1}", &["json.a=1"]);
    let plain = Bounds { array_names: ArrayNames::Plain, ..Bounds::default() };
    let said = read(Processor::Json, "", &plain, b"{\"a\":[{\"b\":1}]}");
    assert_eq!(told(&said), ["json.a.0.b=1"]);
}

#[test]
fn values() {
    check("[true,false,null]", &["json.array_0=true", "json.array_1=false", "json.array_2="]);
    for number in ["0", "-0", "12", "1.50", "1e5", "1E+05", "-1.0e-0", "123456789012345678901"] {
        check(number, &[&format!("json={number}")]);
    }
    for word in ["01", "1.", ".5", "+1", "1e", "1e+", "--1", "0x1", "NaN", "True", "nul", "1.e1"] {
        check(word, &[&format!("json={word}"), WORD]);
    }
    check("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", &["json=\\\"\\\\/\\x08\\x0c\\n\\r\\t"]);
    check("\"\\u0041\\u00e9\\u20AC\"", &["json=A\\xc3\\xa9\\xe2\\x82\\xac"]);
    check("\"\\ud83d\\ude00\"", &["json=\\xf0\\x9f\\x98\\x80"]);
    check("\"\\u0000\"", &["json=\\x00"]);
    check("{\"\\u0061\\\"\":1}", &["json.a\\\"=1"]);
    let half = "\\xef\\xbf\\xbd";
    check("\"\\ud83dx\"", &[&format!("json={half}x")]);
    check("\"\\ude00\"", &[&format!("json={half}")]);
    check("\"\\ud83d\\ud83d\"", &[&format!("json={half}{half}")]);
    check("\"\\ud83d\\n\"", &[&format!("json={half}\\n")]);
    check("\"\u{e9}\u{1f600}\"", &["json=\\xc3\\xa9\\xf0\\x9f\\x98\\x80"]);
}

#[test]
fn faults_that_are_read_over() {
    check("\"\\x41\"", &["json=\\\\x41", ESCAPE]);
    check("\"\\u00\"", &["json=\\\\u00", ESCAPE]);
    check("\"\\u00g1\"", &["json=\\\\u00g1", ESCAPE]);
    check("\"\\u\\u0041\"", &["json=\\\\uA", ESCAPE]);
    check("\"a\nb\"", &["json=a\\nb", "!a control character in a text"]);
    check(b"\"\xff\"", &["json=\\xff", "!bytes that are not UTF-8"]);
    check(b"\"\xc3\"", &["json=\\xc3", "!bytes that are not UTF-8"]);
    check(b"\"\xed\xa0\x80\"", &["json=\\xed\\xa0\\x80", "!bytes that are not UTF-8"]);
    check("{'a':'b\\'c'}", &["json.a=b\\\'c", "!an apostrophe for a quote"]);
    check("{a:b}", &["json.a=b", WORD]);
    check("{null:1}", &["json.null=1", WORD]);
}

#[test]
fn faults_that_end_the_reading() {
    let at = |byte: usize| format!("!byte {byte} is not where it could be");
    check("{\"a\":1,}", &["json.a=1", &at(7)]);
    check("[1,]", &["json.array_0=1", &at(3)]);
    check("[,1]", &[&at(1)]);
    check("{\"a\":1]", &["json.a=1", &at(6)]);
    check("[1}", &["json.array_0=1", &at(2)]);
    check("{\"a\" 1}", &["json.a=", &at(5)]);
    check("{\"a\":}", &["json.a=", &at(5)]);
    check("{\"a\"}", &["json.a=", &at(4)]);
    check("1 2", &["json=1", &at(2)]);
    check("{} {\"a\":1}", &[&at(3)]);
    check("}", &[&at(0)]);
    check("[1 /* 2 */]", &["json.array_0=1", &at(3)]);
    check(b"\xff\xfe1\0", &[&at(0)]);
    check(b"\xef1", &[&at(1)]);
    check("\0", &[&at(0)]);
    check("[\u{feff}1]", &[&at(1)]);
}

#[test]
fn documents_that_end_early() {
    check(" ", &[INCOMPLETE]);
    check("{", &[INCOMPLETE]);
    check("[1", &["json.array_0=1", INCOMPLETE]);
    check("[tru", &["json.array_0=tru", WORD]);
    check("\"a", &["json=a", INCOMPLETE]);
    check("\"a\\", &["json=a", INCOMPLETE]);
    check("\"a\\u00", &["json=a", INCOMPLETE]);
    check("{\"a", &["json.a=", INCOMPLETE]);
    check("{\"a\"", &["json.a=", INCOMPLETE]);
    check("{\"a\":", &["json.a=", INCOMPLETE]);
    check("{\"a\":1", &["json.a=1", INCOMPLETE]);

    let body = b"{\"a\":[true,12.5e3,\"\\u0041b\",{\"c\":null}]} ";
    for end in 0..body.len() {
        let mut reader = Reader::new(Processor::Json, b"", &Bounds::default());
        reader.feed(&body[..end]);
        assert_eq!(reader.cut().fault, None, "{end}");
    }
}

#[test]
fn bounds() {
    let deep = Bounds { depth_max: 3, ..Bounds::default() };
    let said = read(Processor::Json, "", &deep, b"[[[1]],2]");
    assert_eq!(told(&said), ["json.array_0.array_0.array_0=1", "json.array_1=2"]);
    let said = read(Processor::Json, "", &deep, b"[1,[[[2]]]]");
    assert_eq!(told(&said), ["json.array_0=1", "!more than 3 levels"]);
    assert!(said.over.depth);

    for start in ["[", "{\"a\":", "[{\"a\":"] {
        let body = start.repeat(10_000);
        let said = in_pieces(Processor::Json, "", &Bounds::default(), body.as_bytes(), 100);
        assert!(said.over.depth);
        let all = Bounds { depth_max: 20_000, ..Bounds::default() };
        let said = in_pieces(Processor::Json, "", &all, body.as_bytes(), 100);
        assert!(!said.over.depth);
        assert_eq!(said.fault, Some(Fault::Malformed("JSON: the document is not complete".into())));
    }

    let few = Bounds { arguments_max: 2, ..Bounds::default() };
    let said = read(Processor::Json, "", &few, b"[1,2,3]");
    assert_eq!(told(&said), ["json.array_0=1", "json.array_1=2", "!more than 2 arguments"]);

    let short = Bounds { bytes_max: 6, ..Bounds::default() };
    let said = read(Processor::Json, "", &short, b"[1,\"abc\"]");
    assert_eq!(told(&said)[..2], ["json.array_0=1", "json.array_1=ab"]);
    assert!(said.over.bytes);
}

/// Every value would repeat the long name.
#[test]
fn long_names_are_not_multiplied() {
    let body = format!("{{\"{}\":[{}1]}}", "x".repeat(60_000), "1,".repeat(30_000));
    let bounds = Bounds { arguments_max: usize::MAX, ..Bounds::default() };
    let said = in_pieces(Processor::Json, "", &bounds, body.as_bytes(), 1000);
    assert!(said.over.kept);
    let kept: usize = said.arguments.iter().map(|pair| pair.name.len() + pair.value.len()).sum();
    assert!(kept <= bounds.kept_max);
}
