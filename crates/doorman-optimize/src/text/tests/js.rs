use super::{check, check_bounds, check_refused};
use crate::text::{Refusal, js};

#[test]
fn line_ends_stay_where_a_statement_may_end() {
    for row in &[
        ("a\nb", "a\nb"),
        ("a ;\n b ;\n", "a;b;"),
        ("a\n( b )", "a\n(b)"),
        ("a\n[ b ]", "a\n[b]"),
        ("a\n+ b", "a\n+b"),
        ("a +\n b", "a+b"),
        ("a\n/ b /\nc", "a\n/b/c"),
        ("a\n`b  c`", "a\n`b  c`"),
        ("a\n. b\n.c ( )", "a.b.c()"),
        ("a\n++\nb", "a\n++\nb"),
        ("a ++\nb", "a++\nb"),
        ("return\na", "return\na"),
        ("throw a\n", "throw a"),
        ("break\na ;", "break\na;"),
        ("async\nfunction a ( ) { }", "async\nfunction a(){}"),
        ("a\n=> b", "a\n=>b"),
        ("{ a\n}\nb", "{a}b"),
        ("x = { a\n}\nb", "x={a}\nb"),
        ("if ( a )\n b\nelse\n c", "if(a)b\nelse\nc"),
        ("do a\nwhile ( b )\nc", "do a\nwhile(b)\nc"),
        ("for ( ; ; )\n a", "for(;;)a"),
        ("for ( a of b )\n{ }\nc", "for(a of b){}c"),
        ("class A { a\n* b ( ) { } }", "class A{a\n*b(){}}"),
        ("class A { a\n[ b ] ( ) { } }", "class A{a\n[b](){}}"),
        ("class A { get\na ( ) { } }", "class A{get\na(){}}"),
        ("class A { static\n{ } }", "class A{static\n{}}"),
        ("\"use strict\"\na", "\"use strict\"\na"),
        ("a /* b\n */ c", "a\nc"),
        ("a\u{2028}b", "a\nb"),
        ("yield\n* a", "yield\n*a"),
        ("a\n? b\n: c\n&& d", "a?b:c&&d"),
        ("let x\n= 1\n, y", "let x=1,y"),
    ] {
        if row.0.len() == row.1.len() {
            // Not smaller, but not the same either where a line ended in another way.
            check_refused(js, &(row.0, Refusal::NotSmaller));
        } else {
            check(js, row);
        }
    }
}

#[test]
fn white_space_stays_where_tokens_would_merge() {
    for row in &[
        ("a + + b", "a+ +b"),
        ("a - -- b ", "a- --b"),
        ("a + ++ b ", "a+ ++b"),
        ("a - - b ", "a- -b"),
        ("1 . toString ( )", "1 .toString()"),
        ("1\n.toString ( )", "1\n.toString()"),
        ("a ? .5 : b", "a? .5:b"),
        ("a / /b/ ", "a/ /b/"),
        ("/a/ in b ", "/a/ in b"),
        ("a in b ", "a in b"),
        ("a < ! --b ", "a< ! --b"),
        ("while ( n -- > 0 ) ;", "while(n-- >0);"),
        ("while ( n --> 0 ) ;", "while(n-->0);"),
        ("a = ! b && - c || ~ d", "a=!b&&-c||~d"),
        ("typeof a ", "typeof a"),
        ("typeof ( a )", "typeof(a)"),
        ("return \"a\" ", "return\"a\""),
        ("case \"a\" : b", "case\"a\":b"),
        ("a => ( { } )", "a=>({})"),
        ("var \u{e9} = \u{e8} in \u{e7} ", "var \u{e9}=\u{e8} in \u{e7}"),
        ("a\u{a0}=\u{3000}b", "a=b"),
        ("static async * # a ( ) { }", "static async* # a(){}"),
    ] {
        if row.0.contains("# a") {
            // A sign without its name is an error to everybody.
            check_refused(js, &(row.0, Refusal::Malformed));
        } else {
            check(js, row);
        }
    }
}

#[test]
fn strings_templates_and_expressions_are_kept() {
    for row in &[
        ("a = \"b  // c\" ", "a=\"b  // c\""),
        ("a = '</script>  <!-- ' ", "a='</script>  <!-- '"),
        ("a = \"b\\\n  c\" ", "a=\"b\\\n  c\""),
        ("a = \"\\\\\" ; // b\"", "a=\"\\\\\";"),
        (
            "a = `b  ${ c + `d  ${ { e : `}` } . e }` }  /* f */` ",
            "a=`b  ${c+`d  ${{e:`}`}.e}`}  /* f */`",
        ),
        ("a = `\\`  \\${ b` ", "a=`\\`  \\${ b`"),
        ("a = /[/ \"]  \\/ '/g ; b = c / d / e", "a=/[/ \"]  \\/ '/g;b=c/d/e"),
        ("if ( a ) /b  c/ . test ( d )", "if(a)/b  c/.test(d)"),
        ("( a ) / b / c ; \"  \"", "(a)/b/c;\"  \""),
        ("a [ b ] / c / d ", "a[b]/c/d"),
        ("a ++ / b / c ", "a++ /b/c"),
        ("a . if ( b ) / c / d", "a.if(b)/c/d"),
        ("for await ( a of b ) /c  d/ . e ( )", "for await(a of b)/c  d/.e()"),
        ("if ( a ) { } /b  c/ . d ( )", "if(a){}/b  c/.d()"),
        ("a = { } / b / c ", "a={}/b/c"),
        ("return /a  b/ ", "return/a  b/"),
        ("a . return / b / c", "a.return/b/c"),
        ("a = b\n/ c / d ", "a=b\n/c/d"),
        ("( ) => /a  b/ ", "()=> /a  b/"),
        ("x = a ? /b  / : /c  / ", "x=a?/b  /:/c  /"),
        ("[ /a  / , /b  / ] ", "[/a  /,/b  /]"),
        // Two signs of operators are only joined where that is known to make no other one.
        ("! /a  / ", "! /a  /"),
    ] {
        check(js, row);
    }
}

#[test]
fn comments_go_unless_they_speak_to_somebody() {
    for row in &[
        ("// a\nb // c\n/* d */ ; /* e */", "b;"),
        ("/*! a */ b ", "/*! a */b"),
        ("b ;\n/**\n * @license c\n */\nd ; ", "b;\n/**\n * @license c\n */d;"),
        ("a ; //! b\nc ;", "a;//! b\nc;"),
        ("a ;\n//# sourceMappingURL=a.map\n", "a;\n//# sourceMappingURL=a.map"),
        ("//! a\n//! b\nc ;", "//! a\n//! b\nc;"),
        ("a / /*! b */ c ", "a/ /*! b */c"),
        ("a /*! b */ + c ", "a/*! b */+c"),
        ("a/**/b", "a b"),
        ("#!/usr/bin/env a  b\n c ;", "#!/usr/bin/env a  b\nc;"),
        ("\u{feff}a ;", "\u{feff}a;"),
        ("/*@cc_on a @*/ b ", "/*@cc_on a @*/b"),
    ] {
        check(js, row);
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    for text in [
        "function a() {}\n/b/ . c",
        "a: {} /b/ ",
        "x = () => {}\n/b/ ",
        "yield /a  / ",
        "await / a / b",
        "of / a / b",
        "a <!-- b",
        "<!-- a\nb ;",
        "a\n--> b",
        "--> a",
        "a /*\n*/ --> b",
        "return\n{} /a/ ",
        "\\u0061 /b  / ",
    ] {
        check_refused(js, &(text, Refusal::Unsure));
    }
}

#[test]
fn what_is_broken_is_refused() {
    for text in [
        "a (",
        "a )",
        "a ( ]",
        "{ `${ } }",
        "\"a\n\"",
        "\"a",
        "`a",
        "`${ a",
        "/* a",
        "a = /b\n/",
        "a = /b",
        "a = /[/",
        "a = \\b",
        "a = \\u12",
        "# a",
        "a = \u{0} b",
        "a \u{1} b",
    ] {
        check_refused(js, &(text, Refusal::Malformed));
    }
}

#[test]
fn bounds_hold() {
    check_bounds(js, "(", ")", "1");
    check_bounds(js, "`${ ", "}`", "1");
    // What makes readers descend who build trees costs nothing here.
    for part in ["!", "a=>", "a?b:", "new ", "a=", "if(a)", "a.b+", "- "] {
        let text = format!("{} 1 ; ", part.repeat(200_000));
        assert!(js(text.as_bytes(), &crate::text::Bounds::default()).is_ok(), "{part}");
    }
}
