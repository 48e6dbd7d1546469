//! What XML documents say.

use super::*;

/// Texts, attributes behind `@`, and the fault behind `!`.
fn told(said: &Read) -> Vec<String> {
    let mut lines: Vec<_> =
        said.xml_texts.iter().map(|text| text.escape_ascii().to_string()).collect();
    lines.extend(said.xml_attributes.iter().map(|value| format!("@{}", value.escape_ascii())));
    lines.extend(said.fault.iter().map(|fault| fault.message().replace("XML: ", "!")));
    lines
}

fn check(body: impl AsRef<[u8]>, expected: &[&str]) {
    let said = read(Processor::Xml, "", &Bounds::default(), body.as_ref());
    assert_eq!(told(&said), expected, "{}", body.as_ref().escape_ascii());
    assert!(said.arguments.is_empty());
}

const INCOMPLETE: &str = "!the document is not complete";
const BESIDE: &str = "!text beside the root element";
const REFERENCE: &str = "!a & that begins no reference";
const ENTITY: &str = "!an entity that is none of XML's";
const NAME: &str = "!a name with a character that none has";

#[test]
fn texts() {
    check("", &[]);
    check("<a/>", &[""]);
    check("<a></a >\n", &[""]);
    check("<a>1<b>2</b>3</a>", &["123"]);
    check("\u{feff}<?xml version=\"1.0\"?>\n<a>\n <b>1</b>\n</a>", &["\\n 1\\n"]);
    check("<a>1<!-- 2 - 3 -->4<?b 5 ? > ?>6</a>", &["146"]);
    check("<a>1<![CDATA[<b>&amp;]]]>2</a>", &["1<b>&amp;]2"]);
    check("<a><![CDATA[]]]]><![CDATA[>]]></a>", &["]]>"]);
    check(
        "<a>&lt;&gt;&amp;&quot;&apos;&#65;&#x42;&#x1F600;</a>",
        &["<>&\\\"\\'AB\\xf0\\x9f\\x98\\x80"],
    );
    check("<a>&amp;lt;</a>", &["&lt;"]);
    check("<a>1\r\n2\r3\n\r4&#13;</a>", &["1\\n2\\n3\\n\\n4\\r"]);
    check("<a:b xmlns:a=\"urn:x\">]] ></a:b>", &["]] >"]);
    check("<\u{e9}>\u{20ac}</\u{e9}>", &["\\xe2\\x82\\xac"]);
}

#[test]
fn attributes() {
    check("<a b=\"1\" c = '2'><d e=\"\"/></a>", &["", "@1", "@2", "@"]);
    check("<a b='\"' c=\"'\"/>", &["", "@\\\"", "@\\'"]);
    check("<a b=\"&lt;&#10;>\n\t\r\n\"/>", &["", "@<\\n>   "]);
    check("<a xmlns=\"urn:x\" xmlns:b=\"urn:y\" b:c=\"1\"/>", &["", "@1"]);
    check("<a/><!-- b -->", &[""]);
}

#[test]
fn no_document_types() {
    let doctype = "!a document type, or another declaration";
    check("<!DOCTYPE a><a/>", &["DOCTYPE a>", doctype]);
    check("<!DOCTYPE a SYSTEM \"urn:>\"><a/>", &["DOCTYPE a SYSTEM \\\"urn:>\\\">", doctype]);
    check(
        "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
        &["DOCTYPE a [<!ENTITY b \\\"c\\\">]>&b;", doctype],
    );
    check("<a><!b></a>", &["b>", doctype]);
    check("<a>&b;</a>", &["&b;", ENTITY]);
    check("<a>&LT;</a>", &["&LT;", ENTITY]);

    let mut bomb = "<!DOCTYPE a [<!ENTITY x0 \"x\">".to_owned();
    for level in 1..100 {
        bomb += &format!("<!ENTITY x{level} \"{}\">", format!("&x{};", level - 1).repeat(10));
    }
    bomb += "]><a>&x99;</a>";
    let said = read(Processor::Xml, "", &Bounds::default(), bomb.as_bytes());
    assert_eq!(told(&said)[1], doctype);
    assert!(said.xml_texts[0].len() <= bomb.len());
}

#[test]
fn faults_are_read_over() {
    check("<a>1</b>", &["1", "!an end tag of another element"]);
    check("<a><b></a></b>", &["", "!an end tag of another element"]);
    check("<a/></a>", &["", "!an end tag without a start tag"]);
    check("<a/><b>1</b>", &["1", "!more than one root element"]);
    check("1<a/>", &["1", BESIDE]);
    check("<a/>&lt;", &["<", BESIDE]);
    check("<a/><![CDATA[1]]>", &["1", BESIDE]);
    check("<a>1 < 2</a>", &["1 < 2", "!a < that begins nothing"]);
    check("<a>]]></a>", &["]]>", "!the end of CDATA without its start"]);
    check("<a>1 & 2</a>", &["1 & 2", REFERENCE]);
    check("<a>&#;&#x;&#xg;&#1a;</a>", &["&#;&#x;&#xg;&#1a;", REFERENCE]);
    check("<a>&lt</a>", &["&lt", REFERENCE]);
    check("<a b=\"&lt\"/>", &["", "@&lt", REFERENCE]);
    check("<a>&#0;</a>", &["\\x00", "!a reference to no character"]);
    check(
        "<a>&#xD800;&#99999999999;</a>",
        &["\\xef\\xbf\\xbd\\xef\\xbf\\xbd", "!a reference to no character"],
    );
    let long = format!("&{};", "x".repeat(40));
    check(format!("<a>{long}</a>"), &[&long, REFERENCE]);
    check("<a b/>", &["", "@", "!an attribute without a value"]);
    check("<a b c='1'>2</a>", &["2", "@", "@1", "!an attribute without a value"]);
    check("<a b=1 c=2>3</a>", &["3", "@1", "@2", "!an attribute's value without quotes"]);
    check("<a b=>1</a>", &["1", "@", "!an attribute's value without quotes"]);
    check("<a b='<'/>", &["", "@<", "!a < within a value"]);
    check("<a b='1' b='2'/>", &["", "@1", "@2", "!an attribute that stands twice"]);
    check("<a/b='1'>2</a>", &["2", "@1", "!a / within a tag"]);
    check("<a!>1</a!>", &["1", NAME]);
    check("<a 1='2'/>", &["", "@2", NAME]);
    check("<a></a b>", &["", "!something behind the name of an end tag"]);
    check("<a><!-- b -- c --></a>", &["", "!hyphens within a comment"]);
    check("<a><!-- b ---></a>", &["", "!hyphens within a comment"]);
    check("<? a?><b/>", &["", "!an instruction without a name"]);
    check("<a>\x01</a>", &["\\x01", "!a control character"]);
    check(b"<a>\xff</a>", &["\\xff", "!bytes that are not UTF-8"]);
}

#[test]
fn encodings() {
    let check = |declaration: &str, text: &[u8], fault: Option<&str>| {
        let body = [format!("<?xml {declaration}?><a>").as_bytes(), text, b"</a>"].concat();
        let said = read(Processor::Xml, "", &Bounds::default(), &body);
        assert_eq!(said.xml_texts, [text]);
        assert_eq!(said.fault.as_ref().map(Fault::message), fault, "{declaration}");
    };
    let other = Some("XML: an encoding that is not read");
    let bytes = Some("XML: bytes that are not UTF-8");
    check("version='1.0' encoding='UTF-8'", b"1", None);
    check("version='1.0' encoding='UTF-8'", b"\xe9", bytes);
    check("version='1.0' encoding = \"ISO-8859-1\"", b"\xe9", None);
    check("version='1.0' encoding='windows-1252'", b"\xe9", None);
    check("version='1.0' encoding='UTF-7'", b"+ADw-", other);
    check("version='1.0' encoding='UTF-16'", b"1", other);
    check("version='1.0' encoding", b"1", other);
    check("version='1.0' encoding='utf-8' encoding='utf-7'", b"1", other);
    let none = Some("XML: a declaration of XML that is none");
    check(&format!("version='1.0'{}", " ".repeat(300)), b"1", none);
    let late = " <?xml version='1.0' encoding='utf-8'?><a/>";
    let said = read(Processor::Xml, "", &Bounds::default(), late.as_bytes());
    assert_eq!(said.fault.as_ref().map(Fault::message), none);
    let utf16: Vec<u8> = "\u{feff}<a/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(read(Processor::Xml, "", &Bounds::default(), &utf16).fault.is_some());
}

#[test]
fn documents_that_end_early() {
    let body = b"<?xml version='1.0'?><a b='1&amp;'>2&#x41;<!-- 3 --><![CDATA[4]]></a>";
    for end in 1..body.len() {
        let said = read(Processor::Xml, "", &Bounds::default(), &body[..end]);
        assert_eq!(told(&said).last().map(String::as_str), Some(INCOMPLETE), "{end}");
        let mut reader = Reader::new(Processor::Xml, b"", &Bounds::default());
        reader.feed(&body[..end]);
        let cut = reader.cut();
        assert_eq!(cut.fault, None);
        assert_eq!((cut.xml_texts, cut.xml_attributes), (said.xml_texts, said.xml_attributes));
    }
    check(" ", &[INCOMPLETE]);
    check("<a b='1", &["", "@1", INCOMPLETE]);
    check("<a>1", &["1", INCOMPLETE]);
    check("<a>&l", &["&l", INCOMPLETE]);
}

#[test]
fn bounds() {
    let deep = Bounds { depth_max: 2, ..Bounds::default() };
    let said = read(Processor::Xml, "", &deep, b"<a>1<b>2<c>3<d>4</d></c></b>5</a>");
    assert_eq!(told(&said), ["12345", "!more than 2 levels"]);
    assert!(said.over.depth);

    for start in
        ["<a>", "<a b='1'>", "<a b=\"", "<![CDATA[", "<!", "<?", "&", "<a b='1' c='2'/>", "]", "--"]
    {
        let body = start.repeat(10_000);
        let said = in_pieces(Processor::Xml, "", &Bounds::default(), body.as_bytes(), 100);
        assert!(said.fault.is_some(), "{start}");
    }

    let little = Bounds { kept_max: 100, ..Bounds::default() };
    let said = read(Processor::Xml, "", &little, b"<a b='1' c='2' d='3'/>");
    assert_eq!(said.xml_attributes, [b"1", b"2"]);
    assert!(said.over.kept);

    let short = Bounds { bytes_max: 5, ..Bounds::default() };
    let said = read(Processor::Xml, "", &short, b"<a>123</a>");
    assert_eq!(said.xml_texts, [b"12"]);
    assert!(said.over.bytes);
}
