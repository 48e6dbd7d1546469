use super::{check, check_bounds, check_refused};
use crate::text::{Refusal, json};

#[test]
fn white_space_goes_and_every_token_stays() {
    for row in &[
        ("{ \"a\" : [ 1 , 2.50 , -0 , 1E400 ] }\r\n", "{\"a\":[1,2.50,-0,1E400]}"),
        ("{\"a\": 1, \"a\": 2, \"\": null}", "{\"a\":1,\"a\":2,\"\":null}"),
        ("[ ]", "[]"),
        ("\t{ }\n", "{}"),
        (" \" a \\\" \\u00e9 \\/ \u{e9} \"", "\" a \\\" \\u00e9 \\/ \u{e9} \""),
        ("[true, false, null]", "[true,false,null]"),
        ("[1e5,1e+5, 1e-5, 0.0, 12345678901234567890]", "[1e5,1e+5,1e-5,0.0,12345678901234567890]"),
        ("\"\\ud800\"\n", "\"\\ud800\""),
        ("{}", "{}"),
        ("0", "0"),
    ] {
        check(json, row);
    }
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "",
        " ",
        "// a\n{}",
        "/* */ {}",
        "{} {}",
        "{},",
        "[1,]",
        "{\"a\":1,}",
        "[,]",
        "{,}",
        "{a:1}",
        "{'a':1}",
        "[01]",
        "[-]",
        "[1.]",
        "[.5]",
        "[1e]",
        "[+1]",
        "[NaN]",
        "[tru]",
        "[truex]",
        "\"a",
        "\"\n\"",
        "\"\\x\"",
        "\"\\u12\"",
        "[",
        "{\"a\"",
        "{\"a\":",
        "[}",
        "]",
        "{\"a\" 1}",
        "[1 2]",
        "\u{feff}{}",
        "{1:2}",
        "[\"\t\"]",
        ")]}'\n{}",
        "a({ })",
    ] {
        check_refused(json, &(text, Refusal::Malformed));
    }
}

#[test]
fn bounds_hold() {
    check_bounds(json, "[", "]", "1");
}
