//! What multipart bodies say.

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
    check(&around("\x0ea: b\nc~d: e\n"), &["a=1"]);
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
    for plain in ["8bit", "BINARY ", ""] {
        check(&around(&format!("Content-Transfer-Encoding: {plain}\n")), &["a=1"]);
    }
    for coded in ["base64", "Quoted-Printable", "8bit, base64", "x"] {
        let header = format!("content-transfer-encoding:{coded}\n");
        check(&around(&header), &["a=1", &fault("a part that is coded")]);
    }
    check(
        "--0000\nContent-Disposition: form-data; name=a; filename=b\n\
         Content-Transfer-Encoding: base64\n\n1\n--0000--\n",
        &["a:b:1"],
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
    check("form-data; name=a; filename=b; filename=c", &["a=1", &f("that says the same twice")]);
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
    check("multipart/form-data; boundary=\"\"", "x", &["quoted", &fault("the boundary is empty")]);
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
fn types_that_are_no_form() {
    let check = |content_type: &str, text: &str, expected: &[&str]| {
        let said = read(Processor::Multipart, content_type, &Bounds::default(), &body(text));
        assert_eq!(told(&said), expected, "{content_type} {text}");
    };
    let mixed = "multipart/mixed; boundary=0000";
    let form = "--0000\nContent-Disposition: form-data; name=a\n\n1\n";
    let end = "--0000--\n";
    check(mixed, &format!("{form}{end}"), &["a=1"]);
    check(
        "Multipart/Related; type=\"a/b\"; BOUNDARY = \"0000\" ; start=x",
        &format!("{form}{end}"),
        &["a=1"],
    );
    // What is none of a form says nothing, however it is written.
    check(
        mixed,
        &format!("preamble\n\n--0000\n\n1\n--0000\nContent-ID: <x>\n\n2\n{end}epilogue"),
        &[],
    );
    check(mixed, "--0000\nContent-Disposition: attachment; filename=x\n\n1\n", &[]);
    check("multipart/mixed", "x", &[]);
    // With one that is, it is looked at as a form is.
    let fault = |text: &str| format!("!MULTIPART: {text}");
    check(mixed, form, &["a=1", &fault("the final boundary is missing")]);
    check(
        mixed,
        &format!("--0000\nContent-Disposition : Form-Data; name=a\n\n1\n{end}"),
        &["=1", "part", &fault("a part without Content-Disposition")],
    );
    let several = fault("the Content-Type has several boundaries");
    check("multipart/mixed; boundary=0000; boundary=1", &format!("{form}{end}"), &[&several]);
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
    let said = read(Processor::Multipart, TYPE, &short, &body(&format!("{header}1\n--0000--\n")));
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
            let mut reader = Reader::new(Processor::Multipart, TYPE.as_bytes(), &Bounds::default());
            reader.feed(head);
            body.chunks(16 * 1024).for_each(|piece| reader.feed(piece));
            let said = reader.finish();
            assert!(said.fault.is_some(), "{}", line.escape_ascii());
        }
    }
}
