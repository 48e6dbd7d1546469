//! Tables of bodies and what they say, through one check, and properties that hold for all of them.

mod cookies;
mod json;
mod multipart;
mod urlencoded;
mod xml;

use proptest::prelude::*;

use super::*;

/// Reads a body in one piece, and makes sure that pieces of any length say the same.
fn read(processor: Processor, content_type: &str, bounds: &Bounds, body: &[u8]) -> Read {
    let whole = in_pieces(processor, content_type, bounds, body, usize::MAX);
    for length in [1, 2, 3, 7] {
        let pieces = in_pieces(processor, content_type, bounds, body, length);
        assert_eq!(whole, pieces, "pieces of {length} of {:?}", body.escape_ascii().to_string());
    }
    whole
}

fn in_pieces(
    processor: Processor,
    content_type: &str,
    bounds: &Bounds,
    body: &[u8],
    length: usize,
) -> Read {
    let mut reader = Reader::new(processor, content_type.as_bytes(), bounds);
    body.chunks(length).for_each(|piece| reader.feed(piece));
    reader.finish()
}

/// Pairs as `name=value` by line.
fn shown(pairs: &[Pair]) -> Vec<String> {
    let show = |pair: &Pair| format!("{}={}", pair.name.escape_ascii(), pair.value.escape_ascii());
    pairs.iter().map(show).collect()
}

/// What JSON documents are made of.
const JSON: [&str; 20] = [
    "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\\", "\\u", "d83d", "\\ude00", "1", "-1.5e3",
    "null", "true", " ", "\u{e9}", "'", "\u{feff}",
];

/// What XML documents are made of.
const XML: [&str; 24] = [
    "<",
    ">",
    "/",
    "a",
    "<a>",
    "</a>",
    " ",
    "=",
    "\"",
    "'",
    "&",
    ";",
    "lt",
    "#x41",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<!",
    "<?xml ",
    "?>",
    "\r",
    "\n",
    "encoding='latin1'",
];

/// What multipart bodies are made of.
const PIECES: [&[u8]; 20] = [
    b"--a",
    b"--",
    b"\r\n",
    b"\n",
    b"\r",
    b"--a\r\n",
    b"--a--\r\n",
    b"--\"a\"",
    b"-- a",
    b" ",
    b"\0",
    b":",
    b"Content-Disposition: form-data; name=b\r\n\r\n",
    b"Content-Disposition: form-data; name=\"b\"; filename=\"c\"\r\n",
    b"form-data; ",
    b"filename*=utf-8''%41",
    b"name='",
    b"\"",
    b"\xff",
    b"x\ty",
];

proptest! {
    #[test]
    fn query_and_cookies_never_panic(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut pairs = Vec::new();
        let _ = query(&raw, b'&', &Bounds::default(), &mut pairs);
        cookies(&raw, &mut pairs);
    }

    #[test]
    fn what_is_encoded_comes_back(pairs in proptest::collection::vec(any::<(Vec<u8>, Vec<u8>)>(), 0..8)) {
        let encode = |bytes: &[u8]| bytes.iter().map(|b| format!("%{b:02x}")).collect::<String>();
        let one = |(name, value): &(Vec<u8>, Vec<u8>)| format!("{}={}", encode(name), encode(value));
        let body = pairs.iter().map(one).collect::<Vec<_>>().join("&");
        let said = read(Processor::UrlEncoded, "", &Bounds::default(), body.as_bytes());
        let back: Vec<_> = said.arguments.into_iter().map(|pair| (pair.name, pair.value)).collect();
        prop_assert_eq!(back, pairs);
    }

    #[test]
    fn json_of_any_pieces(pieces in proptest::collection::vec(0..JSON.len(), 0..40)) {
        let body: String = pieces.iter().map(|&piece| JSON[piece]).collect();
        let bounds = Bounds { bytes_max: 80, arguments_max: 5, depth_max: 4, ..Bounds::default() };
        read(Processor::Json, "", &bounds, body.as_bytes());
    }

    #[test]
    fn any_bytes(body in proptest::collection::vec(any::<u8>(), 0..100)) {
        for processor in [Processor::Json, Processor::Xml, Processor::Multipart] {
            read(processor, "multipart/form-data; boundary=a", &Bounds::default(), &body);
        }
    }

    #[test]
    fn json_comes_back(pairs in proptest::collection::vec(any::<(String, String)>(), 0..8)) {
        let escape = |text: &str| -> String {
            text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect()
        };
        let one = |(name, value): &(String, String)| format!("\"{}\":\"{}\"", escape(name), escape(value));
        let members: Vec<_> = pairs.iter().map(one).collect();
        let body = format!("{{{}}}", members.join(","));
        let said = read(Processor::Json, "", &Bounds::default(), body.as_bytes());
        prop_assert_eq!(said.fault, None);
        for (pair, (name, value)) in said.arguments.iter().zip(&pairs) {
            let name = if name.is_empty() { "empty-key" } else { name };
            prop_assert_eq!(pair.name.clone(), format!("json.{name}").into_bytes());
            prop_assert_eq!(&pair.value, value.as_bytes());
        }
        prop_assert_eq!(said.arguments.len(), pairs.len());
    }

    #[test]
    fn xml_of_any_pieces(pieces in proptest::collection::vec(0..XML.len(), 0..40)) {
        let body: String = pieces.iter().map(|&piece| XML[piece]).collect();
        let bounds = Bounds { bytes_max: 80, kept_max: 400, depth_max: 3, ..Bounds::default() };
        read(Processor::Xml, "", &bounds, body.as_bytes());
    }

    #[test]
    fn xml_comes_back(text in any::<String>(), value in any::<String>()) {
        let is_control = |&character: &char| character < ' ' || matches!(character, '\u{fffe}' | '\u{ffff}');
        let write = |text: &str| -> String {
            let characters = text.chars().filter(|character| !is_control(character));
            characters.map(|character| format!("&#{};", u32::from(character))).collect()
        };
        let body = format!("<a b='{}'>{}</a>", write(&value), write(&text));
        let said = read(Processor::Xml, "", &Bounds::default(), body.as_bytes());
        prop_assert_eq!(said.fault, None);
        let kept = |text: &str| text.chars().filter(|character| !is_control(character)).collect::<String>();
        prop_assert_eq!(said.xml_texts, [kept(&text).into_bytes()]);
        prop_assert_eq!(said.xml_attributes, [kept(&value).into_bytes()]);
    }

    #[test]
    fn multipart_of_any_pieces(pieces in proptest::collection::vec(0..PIECES.len(), 0..40)) {
        let body: Vec<u8> = pieces.iter().flat_map(|&piece| PIECES[piece].to_vec()).collect();
        let bounds = Bounds { bytes_max: 300, arguments_max: 3, part_header_max: 60, ..Bounds::default() };
        read(Processor::Multipart, "multipart/form-data; boundary=\"a\"", &bounds, &body);
    }

    #[test]
    fn multipart_comes_back(parts in proptest::collection::vec(any::<(String, Vec<u8>)>(), 0..5)) {
        let mut body = Vec::new();
        let mut expected = Vec::new();
        for (name, value) in &parts {
            let name: Vec<u8> = name.bytes().filter(|byte| *byte >= b' ').chain([b'x']).collect();
            body.extend_from_slice(b"--0000\r\nContent-Disposition: form-data; name=\"");
            for byte in &name {
                body.extend(matches!(byte, b'"' | b'\\').then_some(b'\\'));
                body.push(*byte);
            }
            body.extend_from_slice(b"\"\r\n\r\n");
            body.extend_from_slice(value);
            body.extend_from_slice(b"\r\n");
            expected.push(Pair { name, value: value.clone() });
        }
        body.extend_from_slice(b"--0000--\r\n");
        let said = read(Processor::Multipart, "multipart/form-data; boundary=0000", &Bounds::default(), &body);
        prop_assert_eq!(said.arguments, expected);
        prop_assert_eq!(said.fault, None);
    }
}
