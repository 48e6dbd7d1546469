//! The tests as their files say them, whichever of the two schemas: that of version 4 (`rule_id`, `test_id`,
//! `log`) and that of 3.3 (`test_title`, `stage`, `log_contains`). What a file says and this does not know
//! is an error: a test that silently lost a condition would pass for nothing.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regex_automata::meta::Regex;

use super::base64;
use super::template;
use super::yaml::{self, Node, Value};
use crate::failure::{During, Failure};

/// All tests of a directory.
pub(crate) struct Suite {
    /// Files that were read, empty ones too.
    pub(crate) files: usize,
    /// Tests in the order of the files' names.
    pub(crate) tests: Vec<Test>,
}

impl Suite {
    pub(crate) fn stages(&self) -> usize {
        self.tests.iter().map(|test| test.stages.len()).sum()
    }
}

/// One test: requests in order, and what is expected of each.
#[derive(Debug)]
pub(crate) struct Test {
    /// `942100-1`; a name that was taken before has `#2` behind it.
    pub(crate) id: String,
    /// The file's name, and the line of the test in it.
    pub(crate) place: (Arc<str>, usize),
    pub(crate) stages: Vec<Stage>,
}

#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) input: Input,
    pub(crate) expected: Expected,
}

/// The request of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Bytes to send as they are.
    Exact(Vec<u8>),
    Parts(Parts),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) version: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) data: Vec<u8>,
    pub(crate) complete: Complete,
}

/// Whether fields that a client would send are added where they are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Complete {
    /// All that go with the method and the content.
    Missing,
    /// The same, but no length to a request without content, as when the tests of 3.3 were written.
    MissingOfContent,
    Nothing,
}

/// What must be seen after a stage.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// Rules that must match.
    pub(crate) ids: Vec<u32>,
    /// Rules that must not.
    pub(crate) absent: Vec<u32>,
    /// What a line of the log must match, and what none may.
    pub(crate) line: Option<Regex>,
    pub(crate) absent_line: Option<Regex>,
    /// Statuses of which the answer must have one; empty: any.
    pub(crate) status: Vec<u16>,
    /// The server is expected to give no answer that could be read.
    pub(crate) error: bool,
}

/// Reads every test below `directory`.
///
/// # Errors
/// Every file that cannot be read or says something unknown, each with its line.
pub(crate) fn read(directory: &Path) -> Result<Suite, Failure> {
    let mut paths = Vec::new();
    files(directory, &mut paths)?;
    paths.sort();
    if paths.is_empty() {
        return Err(Failure::new(format!("no test files (*.yaml) below {}", directory.display())));
    }
    let mut suite = Suite { files: paths.len(), tests: Vec::new() };
    let mut faults = Vec::new();
    for path in &paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read(path).during(format!("reading {}", path.display()))?;
        match file(&name, &String::from_utf8_lossy(&text)) {
            Ok(tests) => suite.tests.extend(tests),
            Err(found) => faults.push(format!("{name}: {found}")),
        }
    }
    if !faults.is_empty() {
        return Err(Failure::new(faults.join("\n")));
    }
    number_repeated(&mut suite.tests);
    Ok(suite)
}

fn files(directory: &Path, into: &mut Vec<PathBuf>) -> Result<(), Failure> {
    for entry in fs::read_dir(directory).during(format!("reading {}", directory.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, into)?;
        } else if path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") {
            into.push(path);
        }
    }
    Ok(())
}

/// Gives each test a name of its own.
fn number_repeated(tests: &mut [Test]) {
    let mut seen: HashMap<String, u32> = HashMap::new();
    for test in tests {
        let times = seen.entry(test.id.clone()).or_default();
        *times += 1;
        if *times > 1 {
            test.id = format!("{}#{times}", test.id);
        }
    }
}

/// The tests of one file.
fn file(name: &str, text: &str) -> Result<Vec<Test>, String> {
    let Some(root) = yaml::read(text)? else { return Ok(Vec::new()) };
    only(&root, &["meta", "author", "rule_id", "tests"])?;
    let stem = name.split('.').next().unwrap_or(name);
    let rule = root.entry("rule_id").and_then(Node::text).unwrap_or(stem);
    let file: Arc<str> = Arc::from(name);
    let Some(tests) = root.entry("tests") else { return Ok(Vec::new()) };
    let numbered = tests.elements().iter().zip(1_u32..);
    numbered.map(|(node, number)| test(node, rule, number, &file)).collect()
}

fn test(node: &Node, rule: &str, number: u32, file: &Arc<str>) -> Result<Test, String> {
    only(node, &["test_id", "test_title", "desc", "stages"])?;
    let id = match (text(node, "test_id")?, text(node, "test_title")?) {
        (Some(id), _) => format!("{rule}-{id}"),
        (None, Some(title)) => title.to_owned(),
        (None, None) => format!("{rule}-{number}"),
    };
    let stages = node.entry("stages").map(Node::elements).unwrap_or_default();
    let stages = stages.iter().map(stage).collect::<Result<Vec<_>, _>>()?;
    if stages.is_empty() {
        return Err(format!("line {}: test {id} has no stages", node.line));
    }
    Ok(Test { id, place: (Arc::clone(file), node.line), stages })
}

fn stage(node: &Node) -> Result<Stage, String> {
    let (node, default) = match node.entry("stage") {
        Some(node) => (node, Complete::MissingOfContent),
        None => (node, Complete::Missing),
    };
    only(node, &["description", "input", "output"])?;
    let (Some(asked), Some(wanted)) = (node.entry("input"), node.entry("output")) else {
        return Err(format!("line {}: a stage has input and output", node.line));
    };
    Ok(Stage { input: input(asked, default)?, expected: expected(wanted)? })
}

const INPUT: &[&str] = &[
    "dest_addr",
    "port",
    "protocol",
    "method",
    "uri",
    "version",
    "headers",
    "data",
    "encoded_request",
    "raw_request",
    "autocomplete_headers",
    "stop_magic",
];

fn input(node: &Node, default: Complete) -> Result<Input, String> {
    only(node, INPUT)?;
    if let Some(encoded) = text(node, "encoded_request")? {
        let bytes = base64::decode(encoded.as_bytes());
        return bytes.map(Input::Exact).ok_or_else(|| fault(node, "encoded_request is no base64"));
    }
    if let Some(raw) = text(node, "raw_request")? {
        return Ok(Input::Exact(raw.as_bytes().to_vec()));
    }
    let or = |name, missing: &str| Ok::<_, String>(text(node, name)?.unwrap_or(missing).to_owned());
    Ok(Input::Parts(Parts {
        method: or("method", "GET")?,
        target: or("uri", "/")?,
        version: or("version", "HTTP/1.1")?,
        fields: fields(node)?,
        data: data(node)?,
        complete: complete(node, default)?,
    }))
}

fn fields(node: &Node) -> Result<Vec<(String, String)>, String> {
    let Some(headers) = node.entry("headers") else { return Ok(Vec::new()) };
    let mut fields = Vec::new();
    for (name, value) in headers.entries() {
        let value = value.text().ok_or_else(|| fault(value, "a field's value is a text"))?;
        fields.push((name.to_owned(), value.to_owned()));
    }
    Ok(fields)
}

/// A list of lines is one text, as the first of the suite's runners had it.
fn data(node: &Node) -> Result<Vec<u8>, String> {
    let Some(data) = node.entry("data") else { return Ok(Vec::new()) };
    let written = match &data.value {
        Value::Text(text) => text.clone(),
        Value::List(lines) => {
            let lines: Option<Vec<&str>> = lines.iter().map(Node::text).collect();
            lines.ok_or_else(|| fault(data, "data is a text or a list of lines"))?.join("\r\n")
        }
        Value::Map(_) => return Err(fault(data, "data is a text or a list of lines")),
    };
    template::expand(&written).map(String::into_bytes).map_err(|told| fault(data, &told))
}

fn complete(node: &Node, default: Complete) -> Result<Complete, String> {
    let completes = match (flag(node, "autocomplete_headers")?, flag(node, "stop_magic")?) {
        (Some(completes), _) => completes,
        (None, Some(stops)) => !stops,
        (None, None) => true,
    };
    Ok(if completes { default } else { Complete::Nothing })
}

/// `retry_once` waits for logs that come late, and nothing here is late.
const OUTPUT: &[&str] =
    &["status", "log", "log_contains", "no_log_contains", "expect_error", "retry_once"];

fn expected(node: &Node) -> Result<Expected, String> {
    only(node, OUTPUT)?;
    let mut expected = Expected {
        status: numbers(node, "status")?,
        error: flag(node, "expect_error")?.unwrap_or(false),
        ..Expected::default()
    };
    if let Some(log) = node.entry("log") {
        only(log, &["expect_ids", "no_expect_ids", "match_regex", "no_match_regex"])?;
        expected.ids = numbers(log, "expect_ids")?;
        expected.absent = numbers(log, "no_expect_ids")?;
        expected.line = pattern(log, "match_regex")?;
        expected.absent_line = pattern(log, "no_match_regex")?;
    }
    match text(node, "log_contains")?.map(|text| (text, only_id(text))) {
        Some((_, Some(id))) => expected.ids.push(id),
        Some((text, None)) => expected.line = Some(regex(node, text)?),
        None => {}
    }
    match text(node, "no_log_contains")?.map(|text| (text, only_id(text))) {
        Some((_, Some(id))) => expected.absent.push(id),
        Some((text, None)) => expected.absent_line = Some(regex(node, text)?),
        None => {}
    }
    Ok(expected)
}

/// `id "942100"`, which is nearly always what stands there, asks for a rule and not for a text.
fn only_id(text: &str) -> Option<u32> {
    text.strip_prefix("id \"")?.strip_suffix('"')?.parse().ok()
}

fn pattern(node: &Node, name: &str) -> Result<Option<Regex>, String> {
    text(node, name)?.map(|text| regex(node, text)).transpose()
}

fn regex(node: &Node, text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| fault(node, &format!("{text}: {error}")))
}

/// Every name in `node` is one of `known`.
fn only(node: &Node, known: &[&str]) -> Result<(), String> {
    match node.entries().find(|(name, _)| !known.contains(name)) {
        Some((name, value)) => Err(fault(value, &format!("{name} is unknown here"))),
        None => Ok(()),
    }
}

fn text<'a>(node: &'a Node, name: &str) -> Result<Option<&'a str>, String> {
    let Some(entry) = node.entry(name) else { return Ok(None) };
    entry.text().map(Some).ok_or_else(|| fault(entry, &format!("{name} is a text")))
}

fn flag(node: &Node, name: &str) -> Result<Option<bool>, String> {
    match text(node, name)?.map(str::to_ascii_lowercase).as_deref() {
        None => Ok(None),
        Some("true" | "yes" | "on") => Ok(Some(true)),
        Some("false" | "no" | "off") => Ok(Some(false)),
        Some(other) => Err(fault(node, &format!("{name} is true or false, not {other}"))),
    }
}

/// One number or a list of them.
fn numbers<T: std::str::FromStr>(node: &Node, name: &str) -> Result<Vec<T>, String> {
    let Some(entry) = node.entry(name) else { return Ok(Vec::new()) };
    let one = std::slice::from_ref(entry);
    let elements = if entry.text().is_some() { one } else { entry.elements() };
    let numbers = elements.iter().map(|element| element.text()?.parse().ok());
    numbers.collect::<Option<_>>().ok_or_else(|| fault(entry, &format!("{name} holds numbers")))
}

fn fault(node: &Node, told: &str) -> String {
    format!("line {}: {told}", node.line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each stage in one line: what is sent, what is expected.
    fn shown(test: &Test) -> Vec<String> {
        let shown = |stage: &Stage| {
            let sent = match &stage.input {
                Input::Exact(bytes) => format!("exactly {:?}", String::from_utf8_lossy(bytes)),
                Input::Parts(parts) => format!(
                    "{} {} {} {:?} {:?} {:?}",
                    parts.method,
                    parts.target,
                    parts.version,
                    parts.fields,
                    String::from_utf8_lossy(&parts.data),
                    parts.complete
                ),
            };
            let Expected { ids, absent, line, absent_line, status, error } = &stage.expected;
            let (line, absent_line) = (line.is_some(), absent_line.is_some());
            format!("{sent} -> {ids:?} {absent:?} {line} {absent_line} {status:?} {error}")
        };
        std::iter::once(test.id.clone()).chain(test.stages.iter().map(shown)).collect()
    }

    #[track_caller]
    fn check(text: &str, expected: &[&[&str]]) {
        let tests = file("123456.yaml", text).expect("a file of tests");
        assert_eq!(tests.iter().map(shown).collect::<Vec<_>>(), expected);
    }

    #[track_caller]
    fn check_fault(text: &str, expected: &str) {
        assert_eq!(file("123456.yaml", text).expect_err("a fault"), expected);
    }

    #[test]
    fn the_schema_of_4_is_read() {
        let text = r#"---
meta: {author: "somebody"}
rule_id: 100100
tests:
  - test_id: 7
    desc: two stages
    stages:
      - input:
          dest_addr: "127.0.0.1"
          port: 80
          method: POST
          uri: "/post?a=b"
          version: HTTP/1.0
          headers: {Host: localhost, X-Twice: 1, X-Length: 033}
          data: "{{ \"ab\" | repeat 2 }}"
          autocomplete_headers: false
        output:
          status: 200
          log: {expect_ids: [100100, 2], no_expect_ids: [3], match_regex: 'a\d', no_match_regex: b}
      - input: {encoded_request: "R0VUIC8="}
        output: {expect_error: true, retry_once: true}
"#;
        check(
            text,
            &[&[
                "100100-7",
                "POST /post?a=b HTTP/1.0 [(\"Host\", \"localhost\"), (\"X-Twice\", \"1\"), (\"X-Length\", \"033\")] \
                 \"abab\" Nothing -> [100100, 2] [3] true true [200] false",
                "exactly \"GET /\" -> [] [] false false [] true",
            ]],
        );
    }

    #[test]
    fn the_schema_of_3_3_is_read() {
        let text = r#"---
  meta: {enabled: true}
  tests:
    -
      test_title: 123456-1
      stages:
        -
          stage:
            input: {data: ["one", "two"], stop_magic: true}
            output: {log_contains: "id \"123456\"", status: [403, 400]}
        -
          stage:
            input: {raw_request: "GET / HTTP/1.0\r\n\r\n"}
            output: {no_log_contains: "id:9"}
    - stages: [{stage: {input: {}, output: {no_log_contains: 'id "5"', log_contains: "77"}}}]
"#;
        check(
            text,
            &[
                &[
                    "123456-1",
                    "GET / HTTP/1.1 [] \"one\\r\\ntwo\" Nothing -> [123456] [] false false [403, 400] false",
                    "exactly \"GET / HTTP/1.0\\r\\n\\r\\n\" -> [] [] false true [] false",
                ],
                &[
                    "123456-2",
                    "GET / HTTP/1.1 [] \"\" MissingOfContent -> [] [5] true false [] false",
                ],
            ],
        );
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        check_fault("tests: [{stages: []}]", "line 1: test 123456-1 has no stages");
        check_fault("tests:\n  - what: 1\n", "line 2: what is unknown here");
        let stage = |input: &str, output: &str| {
            format!("tests:\n- stages:\n  - input: {input}\n    output: {output}\n")
        };
        check_fault(&stage("{a: b}", "{}"), "line 3: a is unknown here");
        check_fault(&stage("{}", "{status: x}"), "line 4: status holds numbers");
        check_fault(
            &stage("{data: '{{ now }}'}", "{}"),
            "line 3: a template that is unknown: {{ now }}",
        );
        check_fault(&stage("{encoded_request: '*'}", "{}"), "line 3: encoded_request is no base64");
        check_fault(&stage("{stop_magic: 3}", "{}"), "line 3: stop_magic is true or false, not 3");
    }

    #[test]
    fn an_empty_file_has_no_tests() {
        check("---\n# nothing\n", &[]);
        check("meta: {author: a}\n", &[]);
    }

    #[test]
    fn names_that_repeat_are_numbered() {
        let test = "- {test_id: 1, stages: [{input: {}, output: {}}]}\n";
        let text = format!("tests:\n{test}{test}");
        let mut tests = file("5.yaml", &text).expect("a file of tests");
        number_repeated(&mut tests);
        let ids: Vec<&str> = tests.iter().map(|test| test.id.as_str()).collect();
        assert_eq!(ids, ["5-1", "5-1#2"]);
    }
}
