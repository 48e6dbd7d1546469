//! Tables of bodies and what they say, through one check, and properties that hold for all of them.

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

mod urlencoded {
    use super::*;

    fn check(body: &[u8], expected: &[&str], error: bool) {
        let read = read(Processor::UrlEncoded, "", &Bounds::default(), body);
        assert_eq!(shown(&read.arguments), expected, "{}", body.escape_ascii());
        assert_eq!(read.flags.urlencoded_error, error, "{}", body.escape_ascii());
        assert_eq!(read.fault, None);
        let mut pairs = Vec::new();
        assert_eq!(query(body, b'&', &Bounds::default(), &mut pairs), error);
        assert_eq!(pairs, read.arguments);
    }

    #[test]
    fn pairs() {
        check(b"", &[], false);
        check(b"a", &["a="], false);
        check(b"a=", &["a="], false);
        check(b"=", &["="], false);
        check(b"a=1&b=2", &["a=1", "b=2"], false);
        check(b"a=1&a=1", &["a=1", "a=1"], false);
        check(b"a=b=c", &["a=b=c"], false);
        check(b"=b", &["=b"], false);
        check(b"a&=b", &["a=", "=b"], false);
        check(b"a=1&&b=2", &["a=1", "=", "b=2"], false);
        check(b"&a=1", &["=", "a=1"], false);
        check(b"a=1&", &["a=1"], false);
        check(b"&", &["="], false);
        check(b"a;b=c;d", &["a;b=c;d"], false);
        check(b"A+b=c+d", &["A b=c d"], false);
        check(b"a\0=\xff\n", &["a\\x00=\\xff\\n"], false);
    }

    #[test]
    fn escapes() {
        check(b"%41%62=%2b%3D%26", &["Ab=+=&"], false);
        check(b"a%3D1=2", &["a=1=2"], false);
        check(b"a=%2541", &["a=%41"], false);
        check(b"a=%", &["a=%"], true);
        check(b"a=%4", &["a=%4"], true);
        check(b"a=%4&b=%", &["a=%4", "b=%"], true);
        check(b"a=%zz", &["a=%zz"], true);
        check(b"a=%4z", &["a=%4z"], true);
        check(b"a=%%41", &["a=%A"], true);
        check(b"a=%4%41", &["a=%4A"], true);
        check(b"a%=b", &["a%=b"], true);
        check(b"a%4=b", &["a%4=b"], true);
        check(b"a=%u0041", &["a=%u0041"], true);
        check(b"a=%4+", &["a=%4 "], true);
    }

    #[test]
    fn separator() {
        let mut pairs = Vec::new();
        assert!(!query(b"a=1;b=2&c", b';', &Bounds::default(), &mut pairs));
        assert_eq!(shown(&pairs), ["a=1", "b=2&c"]);
    }

    #[test]
    fn bounds() {
        let few = Bounds { arguments_max: 2, ..Bounds::default() };
        let said = read(Processor::UrlEncoded, "", &few, b"a=1&b=2&c=3");
        assert_eq!(shown(&said.arguments), ["a=1", "b=2"]);
        assert!(said.over.arguments && matches!(said.fault, Some(Fault::Over(_))));

        let short = Bounds { bytes_max: 5, ..Bounds::default() };
        let said = read(Processor::UrlEncoded, "", &short, b"a=1&b=2");
        assert_eq!(shown(&said.arguments), ["a=1", "b="]);
        assert!(said.over.bytes && matches!(said.fault, Some(Fault::Over(_))));

        let narrow = Bounds { name_max: 1, value_max: 2, ..Bounds::default() };
        let said = read(Processor::UrlEncoded, "", &narrow, b"ab=1&b=234");
        assert_eq!(shown(&said.arguments), ["a=1", "b=23"]);
        assert!(said.over.lengths && matches!(said.fault, Some(Fault::Over(_))));

        let little = Bounds { kept_max: 120, ..Bounds::default() };
        let said = read(Processor::UrlEncoded, "", &little, b"a=1&b=2&c=3");
        assert_eq!(shown(&said.arguments), ["a=1", "b=2"]);
        assert!(said.over.kept && matches!(said.fault, Some(Fault::Over(_))));
    }

    #[test]
    fn a_million_arguments() {
        let body = b"a&".repeat(1_000_000);
        let bounds = Bounds { bytes_max: 1 << 30, ..Bounds::default() };
        let said = in_pieces(Processor::UrlEncoded, "", &bounds, &body, 4096);
        assert_eq!(said.arguments.len(), bounds.arguments_max);
        assert!(said.over.arguments);
    }
}

mod cookie {
    use super::*;

    fn check(raw: &[u8], expected: &[&str]) {
        let mut pairs = Vec::new();
        cookies(raw, &mut pairs);
        assert_eq!(shown(&pairs), expected, "{}", raw.escape_ascii());
    }

    #[test]
    fn version_0() {
        check(b"", &[]);
        check(b"a=1", &["a=1"]);
        check(b"a=1; b=2;c=3", &["a=1", "b=2", "c=3"]);
        check(b"a=1;a=1", &["a=1", "a=1"]);
        check(b"a; b=", &["a=", "b="]);
        check(b"a=b=c", &["a=b=c"]);
        check(b";; ;=x; =y;a=1", &["a=1"]);
        check(b" \t a =1 ", &["a =1 "]);
        check(b"a=\"1; b=2\"", &["a=\\\"1", "b=2\\\""]);
        check(b"a=%41+", &["a=%41+"]);
        check(b"a=1, b=2", &["a=1, b=2"]);
    }
}

mod multipart {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=0000";

    fn body(text: &str) -> Vec<u8> {
        text.replace('\n', "\r\n").into_bytes()
    }

    /// What is said of a body with the boundary `0000`, by line: arguments as `name=value`, files as
    /// `name:filename:size`, then the names of flags, then `!` and the fault.
    fn told(said: &Read) -> Vec<String> {
        let mut lines = shown(&said.arguments);
        for file in &said.files {
            let (name, filename) = (file.name.escape_ascii(), file.filename.escape_ascii());
            lines.push(format!("{name}:{filename}:{}", file.size));
        }
        let flags = &said.flags;
        let named = [
            (flags.boundary_quoted, "quoted"),
            (flags.boundary_whitespace, "whitespace"),
            (flags.data_before, "before"),
            (flags.data_after, "after"),
            (flags.header_folding, "folding"),
            (flags.invalid_header_folding, "invalid folding"),
            (flags.lf_line, "lf"),
            (said.mixed_lines(), "mixed"),
            (flags.missing_semicolon, "semicolon"),
            (flags.invalid_quoting, "quoting"),
            (flags.invalid_part, "part"),
            (flags.file_limit_exceeded, "files"),
            (flags.unmatched_boundary == 1, "unmatched 1"),
            (flags.unmatched_boundary == 2, "unmatched 2"),
        ];
        lines.extend(named.iter().filter(|(on, _)| *on).map(|(_, name)| (*name).to_owned()));
        if let Some(fault) = &said.fault {
            lines.push(format!("!{}", fault.message()));
        }
        lines
    }

    fn check_bytes(body: &[u8], expected: &[&str]) {
        let said = read(Processor::Multipart, TYPE, &Bounds::default(), body);
        assert_eq!(told(&said), expected, "{}", body.escape_ascii());
        let lax = ["unmatched", "mixed"];
        let strict = |line: &&str| {
            let flag = !line.contains(['=', ':']) && !lax.iter().any(|lax| line.starts_with(lax));
            flag || line.starts_with('!')
        };
        assert_eq!(said.strict_error(), expected.iter().any(strict), "{}", body.escape_ascii());
    }

    /// Lines are made to end in CR LF.
    fn check(text: &str, expected: &[&str]) {
        check_bytes(&body(text), expected);
    }

    #[test]
    fn parts() {
        check("", &[]);
        check("--0000--\n", &[]);
        check(
            "--0000\nContent-Disposition: form-data; name=\"a\"\n\n1\n--0000\n\
             Content-Disposition: form-data; name=b; filename=\"f.txt\"\nContent-Type: text/plain\n\n\
             12\n34\n--0000--\n",
            &["a=1", "b:f.txt:6"],
        );
        let named = "--0000\ncontent-disposition:form-data;name=a\n\n";
        check(&format!("{named}\n--0000--\n"), &["a="]);
        check(&format!("{named}1\n\n2\n\n--0000--\n"), &["a=1\\r\\n\\r\\n2\\r\\n"]);
        check(&format!("{named}1\n--0000--"), &["a=1"]);
        check(&format!("{named}1\n{named}2\n--0000--\n"), &["a=1", "a=2"]);
        check(
            "--0000\nContent-Disposition: form-data; name=a; filename=\"\"\n\n1\n--0000--\n",
            &["a=1"],
        );
    }

    #[test]
    fn headers() {
        let text = "--0000\nContent-Disposition: form-data; name=\"a\"\nContent-Type:text/plain;\n \
                    charset=utf-7\nX : y\n\n1\n--0000--\n";
        let said = read(Processor::Multipart, TYPE, &Bounds::default(), &body(text));
        assert_eq!(
            shown(&said.part_headers),
            [
                "a=Content-Disposition: form-data; name=\\\"a\\\"",
                "a=Content-Type:text/plain; charset=utf-7",
                "a=X : y",
            ]
        );
        assert_eq!(told(&said), ["a=1", "folding"]);
        assert_eq!(said.multipart_names, [b"a"]);

        let disposition = "Content-Disposition: form-data; name=a\n";
        let around = |header: &str| format!("--0000\n{disposition}{header}\n1\n--0000--\n");
        let fault = |text: &str| format!("!MULTIPART: {text}");
        check(&around("a:b\n\tc\n"), &["a=1", "folding"]);
        check(&around("a:b\n\x0bc\n"), &["a=1", "folding", "invalid folding"]);
        check(&around("a:b\n \x0cc\n"), &["a=1", "folding", "invalid folding"]);
        check(&around("ab\n"), &["a=1", &fault("a header line without a colon")]);
        check(&around(": b\n"), &["a=1", &fault("a header line without a name")]);
        check(&around("a: \0\n"), &["a=1", &fault("a header with a NUL")]);
        check(&around(disposition), &["a=1", &fault("a header that names a field twice")]);
        check(
            "--0000\n a\n\n1\n--0000--\n",
            &["=1", "folding", "part", &fault("a folded line that continues nothing")],
        );
        check(
            "--0000\na: b\n\n1\n--0000--\n",
            &["=1", "part", &fault("a part without Content-Disposition")],
        );
        let long = format!("a: {}\n", "b".repeat(5000));
        check(&around(&long), &["a=1", &fault("a header line over 4096 bytes")]);
    }

    #[test]
    fn dispositions() {
        let check = |value: &str, expected: &[&str]| {
            let text = format!("--0000\nContent-Disposition: {value}\n\n1\n--0000--\n");
            check(&text, expected);
        };
        let f = |text: &str| format!("!MULTIPART: a Content-Disposition {text}");
        check("form-data; name=\"a\"; filename=\"b\"", &["a:b:1"]);
        check("form-data ;name = \"a\"", &["a=1"]);
        check("form-data; name=\"a\";", &["a=1"]);
        check("form-data; name=\"a\\\"b\\\\c\\d\"", &["a\\\"b\\\\c\\\\d=1"]);
        check("form-data; name=\"a'b\"", &["a\\'b=1"]);
        check("form-data; name='a'", &["a=1", "quoting"]);
        check("form-data; name=a'b", &["a\\'b=1", "quoting"]);
        check(
            "form-data; name=a; filename=c:\\f",
            &["a=1", "quoting", &f("with something behind a value")],
        );
        check("form-data; name=a; filename=\"c:\\f\"", &["a:c:\\\\f:1"]);
        check("attachment; name=a", &["=1", "part", &f("that is not form-data")]);
        check("Form-Data; name=a", &["=1", "part", &f("that is not form-data")]);
        check("form-dataname=a", &["=1", "part", &f("that is not form-data")]);
        check("form-data", &["=1", "part", &f("without a name")]);
        check("form-data; name=\"\"", &["=1", "part", &f("without a name")]);
        check("form-data; name=\"a", &["=1", "part", &f("with a quote that nothing closes")]);
        check("form-data; name=\"a\"b\"", &["a=1", "quoting", &f("with something behind a value")]);
        check("form-data; name=a; name=b", &["a=1", &f("that says the same twice")]);
        check(
            "form-data; name=a; filename=b; filename=c",
            &["a=1", &f("that says the same twice")],
        );
        check("form-data; name=a; size=b", &["a=1", &f("with an unknown parameter")]);
        check("form-data; name=a; Filename=b", &["a=1", &f("with an unknown parameter")]);
        check("form-data; name=a; filename =b", &["a=1", &f("with a blank behind filename")]);
        check("form-data; name", &["=1", "part", &f("with a parameter without a value")]);
        check("form-data; name=", &["=1", "part", &f("that ends before a value")]);
        check("form-data; name=a; filename=b; filename*=utf-8'en'%41b", &["a:b:1", "a:Ab:0"]);
        check(
            "form-data; name=a; filename*=utf-8''b",
            &["a=1", "a:b:0", &f("with filename*, but without filename")],
        );
        for wrong in ["utf-8'b", "''b", "utf-8''%4", "utf-8''\"b\"", "utf-8''b c"] {
            let value = format!("form-data; name=a; filename=b; filename*={wrong}");
            let said = read(
                Processor::Multipart,
                TYPE,
                &Bounds::default(),
                &body(&format!("--0000\nContent-Disposition: {value}\n\n1\n--0000--\n")),
            );
            let fault = f("with a filename* that is none");
            assert_eq!(told(&said).last(), Some(&fault), "{wrong}");
        }
    }

    #[test]
    fn boundaries() {
        let fault = |text: &str| format!("!MULTIPART: {text}");
        let part = "--0000\nContent-Disposition: form-data; name=a\n\n";
        check(&format!("x\n{part}1\n--0000--\n"), &["a=1", "before"]);
        check(&format!("{part}1\n--0000--\nx"), &["a=1", "after"]);
        check(&format!("{part}1\n--0000--\n\n"), &["a=1", "after"]);
        check(&format!("{part}--1111\n--0000--\n"), &["a=--1111", "unmatched 2"]);
        check(&format!("{part}-- \n--0000--\n"), &["a=-- ", "unmatched 2"]);
        check(&format!("{part}x --0000\n--0000--\n"), &["a=x --0000", "unmatched 2"]);
        check(&format!("{part}-1\n--0000--\n"), &["a=-1"]);
        check(&format!("{part}--000\n--0000--\n"), &["a=--000", "unmatched 2"]);
        check(
            &format!("{part}--1\n"),
            &["a=--1", "unmatched 1", &fault("the final boundary is missing")],
        );
        check(&format!("{part}1"), &["a=1", &fault("the final boundary is missing")]);
        check(
            &format!("{part}1\n--0000-"),
            &["a=1\\r\\n--0000-", &fault("the final boundary is missing")],
        );
        check("x\n", &["before", &fault("there is no boundary in the body")]);
        check(
            &format!("{part}1\n--0000 \n--0000--\n"),
            &["a=1", "=", "part", &fault("something stands behind a boundary")],
        );
        check(
            &format!("{part}1\n--00001\n--0000--\n"),
            &["a=1\\r\\n--00001", &fault("something stands behind a boundary")],
        );
        check(
            &format!("{part}-- 0000\n--0000--\n"),
            &["a=-- 0000", "unmatched 2", &fault("a boundary behind blanks")],
        );
        check(&format!("{part}--0000--\n"), &["a=", "part"]);
        check(&format!("{part}--0000--"), &["a=", "part"]);
        check(
            "--0000\nContent-Disposition: form-data; name=a\n--0000--\n",
            &["a=", "part", &fault("a part that ends within its header")],
        );
        check(
            "--0000\nContent-Disposition: form-data; name=a\n",
            &["a=", &fault("the final boundary is missing")],
        );
    }

    #[test]
    fn line_endings() {
        let part = "--0000\nContent-Disposition: form-data; name=a\n\n1\n--0000--\n";
        check_bytes(part.as_bytes(), &["a=1", "lf"]);
        check_bytes(part.replacen('\n', "\r\n", 1).as_bytes(), &["a=1", "lf", "mixed"]);
        let crlf = String::from_utf8(body(part)).unwrap();
        check_bytes(crlf.replace("1\r\n", "1\n").as_bytes(), &["a=1", "lf", "mixed"]);
        check_bytes(crlf.replace("1\r\n", "1\n2\r\n").as_bytes(), &["a=1\\n2"]);
        check_bytes(crlf.replace("1\r\n", "1\r\r\n").as_bytes(), &["a=1\\r"]);
        check_bytes(crlf.replace("1\r\n", "1\n").trim_end().as_bytes(), &["a=1", "lf", "mixed"]);
        check_bytes(
            crlf.replace("1\r\n", "1\r").as_bytes(),
            &["a=1\\r--0000--", "unmatched 1", "!MULTIPART: the final boundary is missing"],
        );
    }

    #[test]
    fn long_lines() {
        let part = "--0000\r\nContent-Disposition: form-data; name=a\r\n\r\n";
        for length in 4085..4110 {
            let value = "x".repeat(length);
            for (inner, unmatched) in
                [("", false), ("\r\n--000", true), ("\r", false), ("--0000", true)]
            {
                let text = format!("{part}{value}{inner}y\r\n--0000--\r\n");
                let bounds = Bounds::default();
                let said = read(Processor::Multipart, TYPE, &bounds, text.as_bytes());
                let expected = format!("{value}{inner}y");
                assert_eq!(said.arguments[0].value, expected.as_bytes());
                assert_eq!(said.flags.unmatched_boundary == 2, unmatched, "{length} {inner:?}");
                assert_eq!(said.fault, None);
            }
            let text = format!("{part}{value}\r\n--0000--\r\n");
            let said = read(Processor::Multipart, TYPE, &Bounds::default(), text.as_bytes());
            assert_eq!(said.arguments[0].value, value.as_bytes());
        }
    }

    #[test]
    fn content_types() {
        let check = |content_type: &str, boundary: &str, expected: &[&str]| {
            let text = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--{boundary}--\r\n"
            );
            let bounds = Bounds::default();
            let said = read(Processor::Multipart, content_type, &bounds, text.as_bytes());
            assert_eq!(told(&said), expected, "{content_type}");
        };
        let fault = |text: &str| format!("!MULTIPART: {text}");
        check("Multipart/Form-Data;boundary=x", "x", &["a=1"]);
        check("multipart/form-data; boundary=(x y)", "(x y)", &["a=1"]);
        check("multipart/form-data; boundary=boundary", "boundary", &["a=1"]);
        check("multipart/form-data; boundary=\"x\"", "x", &["a=1", "quoted"]);
        check("multipart/form-data; boundary =x", "x", &["a=1", "whitespace"]);
        check("multipart/form-data; boundary= x", "x", &["a=1", "whitespace"]);
        check("multipart/form-data boundary=x", "x", &["a=1", "semicolon"]);
        check("multipart/form-data; boundary=x; charset=utf-8", "x", &["a=1"]);
        let none = fault("the Content-Type has no boundary");
        check("multipart/form-data", "x", &[&none]);
        check("multipart/form-data; bound=x", "x", &[&none]);
        check("", "x", &[&fault("there is no Content-Type")]);
        check("text/plain", "x", &[&fault("the Content-Type is another one")]);
        let several = fault("the Content-Type has several boundaries");
        check("multipart/form-data; boundary=x; boundary=y", "x", &[&several]);
        check("multipart/form-data; boundary=boundary=x", "x", &[&several]);
        check(
            "multipart/form-data; Boundary=x",
            "x",
            &[&fault("the boundary's name is not in lower case")],
        );
        let before = fault("something stands before the boundary in the Content-Type");
        check("multipart/form-data; charset=a; boundary=x", "x", &[&before]);
        check("multipart/form-data;; boundary=x", "x", &[&before]);
        check("multipart/form-data; boundary", "x", &[&fault("the boundary has no value")]);
        check("multipart/form-data; boundaryx=x", "x", &[&fault("the boundary's name goes on")]);
        check("multipart/form-data; boundary=", "x", &[&fault("the boundary is empty")]);
        check(
            "multipart/form-data; boundary=\"\"",
            "x",
            &["quoted", &fault("the boundary is empty")],
        );
        let half = fault("the boundary is quoted on one side");
        check("multipart/form-data; boundary=\"x", "x", &[&half]);
        check("multipart/form-data; boundary=x\"", "x", &[&half]);
        check("multipart/form-data; boundary=\"x\"; y", "x", &[&half]);
        let odd = fault("the boundary has characters that none has");
        check("multipart/form-data; boundary=x\u{e9}", "x", &[&odd]);
        check("multipart/form-data; boundary=x#", "x", &[&odd]);
        let long = format!("multipart/form-data; boundary={}", "x".repeat(1024));
        check(&long, "x", &[&fault("the Content-Type is too long")]);
    }

    #[test]
    fn quotes_around_a_boundary() {
        let text =
            body("--0000\nContent-Disposition: form-data; name=a\n\n1\n--\"0000\"--\n--0000--\n");
        let quoted = "multipart/form-data; boundary=\"0000\"";
        let said = read(Processor::Multipart, quoted, &Bounds::default(), &text);
        let fault = Fault::Malformed("MULTIPART: a boundary in quotes".to_owned());
        assert_eq!(said.fault, Some(fault));
        assert_eq!(said.flags.unmatched_boundary, 2);
    }

    #[test]
    fn bounds() {
        let file = "--0000\nContent-Disposition: form-data; name=a; filename=b\n\n12345\n";
        let text = body(&format!("{file}{file}--0000--\n"));
        let bounds = Bounds { files_max: 1, bytes_max: 400, ..Bounds::default() };
        let said = read(Processor::Multipart, TYPE, &bounds, &text);
        assert_eq!(told(&said), ["a:b:5", "a:b:5", "files"]);
        assert_eq!(said.files_size(), 10);

        let large = body(&format!("{file}{}\n--0000--\n", "x".repeat(100_000)));
        let said = read(Processor::Multipart, TYPE, &bounds, &large);
        assert_eq!(told(&said), ["a:b:100007"]);

        let part = "--0000\nContent-Disposition: form-data; name=a\n\n";
        let text = body(&format!("{part}{}\n--0000--\n", "x".repeat(1000)));
        let said = read(Processor::Multipart, TYPE, &bounds, &text);
        assert!(said.over.bytes && said.arguments[0].value.len() < 400);
        assert!(matches!(said.fault, Some(Fault::Over(_))));
        assert!(!said.strict_error());

        let short = Bounds { part_header_max: 50, ..Bounds::default() };
        let header = "--0000\nContent-Disposition: form-data; name=a\nContent-Type: text/plain\n\n";
        let said =
            read(Processor::Multipart, TYPE, &short, &body(&format!("{header}1\n--0000--\n")));
        assert!(said.over.part_header);
        assert_eq!((said.arguments.len(), said.part_headers.len()), (1, 1));

        let many = "a: b\n".repeat(100);
        let said = read(
            Processor::Multipart,
            TYPE,
            &Bounds::default(),
            &body(&format!("--0000\n{many}\n1\n")),
        );
        assert_eq!(said.part_headers.len(), 64);
    }

    #[test]
    fn what_is_cut_is_no_fault() {
        let part = "--0000\nContent-Disposition: form-data; name=a\n\n-- \n";
        let text = body(&format!("{part}1\n--0000\nContent-Type: text"));
        for end in 0..text.len() {
            let mut reader = Reader::new(Processor::Multipart, TYPE.as_bytes(), &Bounds::default());
            reader.feed(&text[..end]);
            let said = reader.cut();
            assert_eq!(said.fault, None);
            assert_ne!(said.flags.unmatched_boundary, 1);
        }
    }

    #[test]
    fn endless_lines_like_boundaries() {
        for line in
            [&b"--0000x\r\n"[..], b"--\r\n--", b"\r", b"--000", b"\n", b"--0000\r\n", b"a:b\r\n"]
        {
            let body = line.repeat(300_000 / line.len());
            for head in [&b""[..], b"--0000\r\nContent-Disposition: form-data; name=a\r\n\r\n"] {
                let mut reader =
                    Reader::new(Processor::Multipart, TYPE.as_bytes(), &Bounds::default());
                reader.feed(head);
                body.chunks(16 * 1024).for_each(|piece| reader.feed(piece));
                let said = reader.finish();
                assert!(said.fault.is_some(), "{}", line.escape_ascii());
            }
        }
    }
}

mod json {
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
            &[
                "json.array_0=1",
                "json.array_1.array_0=2",
                "json.array_1.array_1.a=3",
                "json.array_2=4",
            ],
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
        for number in ["0", "-0", "12", "1.50", "1e5", "1E+05", "-1.0e-0", "123456789012345678901"]
        {
            check(number, &[&format!("json={number}")]);
        }
        for word in
            ["01", "1.", ".5", "+1", "1e", "1e+", "--1", "0x1", "NaN", "True", "nul", "1.e1"]
        {
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
            assert_eq!(
                said.fault,
                Some(Fault::Malformed("JSON: the document is not complete".into()))
            );
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
        let kept: usize =
            said.arguments.iter().map(|pair| pair.name.len() + pair.value.len()).sum();
        assert!(kept <= bounds.kept_max);
    }
}

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

/// What JSON documents are made of.
const JSON: [&str; 20] = [
    "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\\", "\\u", "d83d", "\\ude00", "1", "-1.5e3",
    "null", "true", " ", "\u{e9}", "'", "\u{feff}",
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
