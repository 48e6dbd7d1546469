use super::{check, check_bounds, check_refused};
use crate::text::{Refusal, css};

#[test]
fn white_space_goes_where_it_means_nothing() {
    for row in &[
        // Selectors.
        ("a > b , c ~ d + e { }", "a>b,c~d+e{}"),
        ("a :hover { color : red ; }", "a :hover{color:red}"),
        ("a  b\n\t.c  #d [ e = \"f\" i ] *{}", "a b .c #d [e = \"f\" i] *{}"),
        ("a:not( .b , .c > d ) e{}", "a:not(.b,.c > d) e{}"),
        ("a:nth-child( 2n + 1 ){}", "a:nth-child(2n + 1){}"),
        ("-- > a{}", "-- >a{}"),
        ("a + .b{} c + 5{}", "a+ .b{}c+ 5{}"),
        // Nesting: the same bytes are a selector here and a declaration there.
        ("a { b :hover { c :d } e :f ; & > g { } }", "a{b :hover{c:d}e:f;&>g{}}"),
        // Values.
        ("a{margin: 0  auto ;padding:1px -2px}", "a{margin:0 auto;padding:1px -2px}"),
        ("a{width: calc( 1px + 2px * -1 )}", "a{width:calc(1px + 2px * -1)}"),
        (
            "a{font: 12px / 1.5 \"A  B\" , serif !important}",
            "a{font:12px / 1.5 \"A  B\",serif!important}",
        ),
        ("a{b: url(  x.png ) , url( \"x y\" )}", "a{b:url(  x.png ),url(\"x y\")}"),
        ("a{b: url(//c/*d*/e)}", "a{b:url(//c/*d*/e)}"),
        ("a{grid-template: [ a ] \"b c\" 1fr / auto}", "a{grid-template:[a] \"b c\" 1fr / auto}"),
        ("a{content: \"/* a */ \\\" ; }\" ; }", "a{content:\"/* a */ \\\" ; }\"}"),
        ("a{b:c;;; d:e;;}", "a{b:c;d:e}"),
        ("a{color: RED; Color: #FF0000}", "a{color:RED;Color:#FF0000}"),
        // The space behind an escape is part of it.
        (".\\31  a{} .\\31 0{b: \\9 }", ".\\31  a{}.\\31 0{b:\\9 }"),
        // Hacks for old browsers are tokens like others.
        ("a{*zoom: 1; _height: 1px; color: red\\9; }", "a{*zoom:1;_height:1px;color:red\\9}"),
        (
            "a{filter: progid:X.gradient( startColorstr='#80000000', GradientType=0 );}",
            "a{filter:progid:X.gradient(startColorstr='#80000000',GradientType=0)}",
        ),
        // At-rules.
        (
            "@media screen and ( min-width : 1px ) , print { a { } }",
            "@media screen and (min-width :1px),print{a{}}",
        ),
        ("@media (400px <= width <= 700px){ }", "@media (400px <= width <= 700px){}"),
        (
            "@import url( a.css ) screen ;\n@import \"b\" ;",
            "@import url( a.css ) screen;@import \"b\";",
        ),
        ("@supports selector( a :hover ) { }", "@supports selector(a :hover){}"),
        ("@page :first { margin: 1px }", "@page :first{margin:1px}"),
        ("@font-face{unicode-range: U+26 , U+4?? }", "@font-face{unicode-range:U+26,U+4??}"),
        ("@keyframes a{ from { b:c } 50% , 60% { b:d } }", "@keyframes a{from{b:c}50%,60%{b:d}}"),
        ("@layer a , b ;", "@layer a,b;"),
        ("@charset \"utf-8\";\na { }", "@charset \"utf-8\";a{}"),
        ("\u{feff}a { }", "\u{feff}a{}"),
    ] {
        check(css, row);
    }
}

#[test]
fn custom_properties_keep_their_text() {
    for row in &[
        ("a{ --b:  c  d /* e */ ; --f:; --g: ; }", "a{--b:  c  d /* e */ ;--f:;--g: ;}"),
        ("a{ --b:{ c : d ; e } ; }", "a{--b:{ c : d ; e } ;}"),
        (
            "@property --a { syntax: \"*\"; initial-value:  b  c ; }",
            "@property --a{syntax:\"*\";initial-value:  b  c ;}",
        ),
        ("@container style( --a:  b ) { c { } }", "@container style( --a:  b ) {c{}}"),
        ("a{ b: var( --c , ) }", "a{b:var(--c,)}"),
    ] {
        check(css, row);
    }
}

#[test]
fn comments_go_unless_they_speak_to_somebody() {
    for row in &[
        ("/* a */ b { /* c */ d : e /* f */ ; /* g */ }", "b{d:e}"),
        ("/*! a */ b { }", "/*! a */b{}"),
        ("/* @license a */\nb{ }", "/* @license a */b{}"),
        ("a{ }\n/*# sourceMappingURL=a.map */\n", "a{}/*# sourceMappingURL=a.map */"),
        ("a/* b */c{}", "a/**/c{}"),
        ("a/* b */ c{}", "a c{}"),
        ("a{b:1px/* c */2px}", "a{b:1px/**/2px}"),
        ("a{b:c/*! d */e  f}", "a{b:c/*! d */e f}"),
        ("a{b:c /*! d */ e  f}", "a{b:c /*! d */ e f}"),
        ("a/* \\*/{ }", "a{}"),
    ] {
        check(css, row);
    }
}

#[test]
fn what_is_broken_is_refused() {
    for (text, refusal) in [
        ("a { b: c", Refusal::Malformed),
        ("a { } }", Refusal::Malformed),
        ("a { b: ( ; } c { ) }", Refusal::Malformed),
        ("a { b: \"c\n\" }", Refusal::Malformed),
        ("a { b: \"c", Refusal::Malformed),
        ("a { } /* b", Refusal::Malformed),
        ("a { b: url(c\"d) }", Refusal::Malformed),
        ("a { b: url(c d) }", Refusal::Malformed),
        ("a { b: url(c", Refusal::Malformed),
        ("a { } b ; c { }", Refusal::Malformed),
        ("a { } ; b { }", Refusal::Malformed),
        ("a { } b", Refusal::Malformed),
        ("<!-- a { } -->", Refusal::Unsure),
        ("a { b: \\75rl( c ) }", Refusal::Unsure),
        ("a { \\--b:  c  }", Refusal::Unsure),
        ("a { -\\-b:  c  }", Refusal::Unsure),
        ("@charset \"latin1\"; a { }", Refusal::Charset),
    ] {
        check_refused(css, &(text, refusal));
    }
}

#[test]
fn bounds_hold() {
    check_bounds(css, "a{", "}", "b:c");
    let deep = format!("a{{b: {}{} }}", "(".repeat(5000), ")".repeat(5000));
    check_refused(css, &(&deep, Refusal::TooDeep));
}
