use super::{check, check_bounds, check_refused};
use crate::text::{Refusal, svg};

#[test]
fn white_space_goes_where_nothing_is_drawn() {
    for row in &[
        (
            "<svg>\n  <g >\n <path\n  d = \"M 0  0\"  />\n</g ></svg>\n",
            "<svg><g><path d=\"M 0  0\"/></g></svg>",
        ),
        (
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg/>",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><svg/>",
        ),
        ("<svg> <!-- a --> <!--! b --> </svg>", "<svg><!--! b --></svg>"),
        (
            "<svg> <text> a <tspan> b </tspan> <!-- c --> </text> </svg>",
            "<svg><text> a <tspan> b </tspan> <!-- c --> </text></svg>",
        ),
        (
            "<svg> <style> a  { } <!-- b --> </style> </svg>",
            "<svg><style> a  { } <!-- b --> </style></svg>",
        ),
        (
            "<svg> <script><![CDATA[ a  < b ]]></script> </svg>",
            "<svg><script><![CDATA[ a  < b ]]></script></svg>",
        ),
        (
            "<svg> <s:text> <a> </a> </s:text> <a> </a> </svg>",
            "<svg><s:text> <a> </a> </s:text><a></a></svg>",
        ),
        ("<svg xml:space='preserve'> <g  /> </svg>", "<svg xml:space='preserve'> <g/> </svg>"),
        ("<!DOCTYPE svg PUBLIC \"a\" \"b\">\n<svg/>", "<!DOCTYPE svg PUBLIC \"a\" \"b\"><svg/>"),
        ("<svg> a &#32; </svg> ", "<svg> a &#32; </svg>"),
        (
            "<svg><foreignObject> <p>  a </p> </foreignObject> </svg>",
            "<svg><foreignObject> <p>  a </p> </foreignObject></svg>",
        ),
    ] {
        check(svg, row);
    }
}

#[test]
fn what_is_broken_is_refused() {
    for (text, refusal) in [
        ("<!DOCTYPE svg [ <!ENTITY a \"b\"> ]> <svg/>", Refusal::Unsure),
        ("<?xml version='1.0' encoding='latin1'?> <svg/>", Refusal::Charset),
        ("<svg> </g>", Refusal::Malformed),
        ("<svg> ", Refusal::Malformed),
        ("<svg a> </svg>", Refusal::Malformed),
        ("<svg a=b> </svg>", Refusal::Malformed),
        ("<svg a='<'> </svg>", Refusal::Malformed),
        ("<svg a='b'c='d'> </svg>", Refusal::Malformed),
        ("<svg> <!-- </svg>", Refusal::Malformed),
        ("<svg/> <svg/>", Refusal::Malformed),
        ("a <svg/>", Refusal::Malformed),
        (" ", Refusal::Malformed),
        ("< svg/>", Refusal::Malformed),
    ] {
        check_refused(svg, &(text, refusal));
    }
}

#[test]
fn bounds_hold() {
    check_bounds(svg, "<g>", "</g>", "<a />");
}
