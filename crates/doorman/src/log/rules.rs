//! The log of what rules matched: one JSON object a line for each rule that did, in every mode.
//!
//! All of it may come from the network but for what the rules say of themselves, so nothing reaches a line
//! unescaped, and each excerpt is bounded.

use doorman_http::IpText;
use doorman_proxy::{Event, Finding};

use super::line::{field, number, signed, timestamp};

/// Bytes of an excerpt of what matched.
const EXCERPT_MAX: usize = 256;

/// Tags of a line.
const TAGS_MAX: usize = 16;

/// Appends the line of a finding.
pub(super) fn line(event: &Event, finding: &Finding, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    out.extend_from_slice(&timestamp(event.unix_nanos));
    field(out, b"\",\"request_id\":\"", &event.id);
    if let Some(client) = event.client {
        field(out, b",\"client\":\"", IpText::new(client).as_bytes());
    }
    if let Some((site, route)) = &event.place {
        field(out, b",\"site\":\"", site.as_bytes());
        field(out, b",\"route\":\"", route.as_bytes());
    }
    field(out, b",\"method\":\"", event.method.as_bytes());
    field(out, b",\"host\":\"", &event.host);
    field(out, b",\"path\":\"", &event.path);
    number(out, b",\"status\":", u64::from(event.status));
    field(out, b",\"mode\":\"", event.mode.as_bytes());
    field(out, b",\"action\":\"", event.action.as_bytes());
    number(out, b",\"rule\":", u64::from(finding.rule));
    number(out, b",\"phase\":", u64::from(finding.phase));
    field(out, b",\"msg\":\"", finding.msg.as_bytes());
    if !finding.data.is_empty() {
        field(out, b",\"data\":\"", finding.data.as_bytes());
    }
    if let Some(severity) = finding.severity {
        field(out, b",\"severity\":\"", severity.as_bytes());
    }
    for (n, tag) in finding.tags.iter().take(TAGS_MAX).enumerate() {
        out.extend_from_slice(if n == 0 { b",\"tags\":[" } else { b"," });
        field(out, b"\"", tag.as_bytes());
    }
    if !finding.tags.is_empty() {
        out.push(b']');
    }
    field(out, b",\"variable\":\"", finding.variable.as_bytes());
    let excerpt = &finding.value[..finding.value.len().min(EXCERPT_MAX)];
    field(out, b",\"excerpt\":\"", excerpt);
    signed(out, b",\"score\":", finding.score);
    signed(out, b",\"inbound_score\":", event.scores.inbound);
    signed(out, b",\"outbound_score\":", event.scores.outbound);
    out.extend_from_slice(b"}\n");
}

#[cfg(test)]
mod tests {
    use doorman_proxy::Scores;

    use super::*;

    #[test]
    fn a_line_for_a_rule_that_matched() {
        let finding = Finding {
            rule: 942_100,
            phase: 2,
            msg: "SQL \"injection\"".into(),
            data: "found s&1c".into(),
            severity: Some("CRITICAL"),
            tags: vec!["attack-sqli".into(), "paranoia-level/1".into()],
            variable: "ARGS:q".into(),
            others: Vec::new(),
            raw: Box::default(),
            value: b"1' or\n\x1b[31m 1=1".as_slice().into(),
            score: 5,
            place: "rules.conf:7".into(),
        };
        let event = Event {
            id: *b"018bcfe5-687b-7000-8000-000000000001",
            unix_nanos: 1_700_000_000_123_000_000,
            client: Some([203, 0, 113, 9].into()),
            place: Some(("shop.example".into(), "/api/*".into())),
            method: "GET".into(),
            host: b"shop.example".as_slice().into(),
            path: b"/api".as_slice().into(),
            status: 403,
            action: "block",
            mode: "block",
            refused_by: Some(949_110),
            phase: Some(2),
            scores: Scores { inbound: 10, ..Scores::default() },
            findings: Vec::new(),
            more: 0,
            faults: Vec::new(),
            nanos: 0,
        };
        let mut out = Vec::new();
        line(&event, &finding, &mut out);
        let expect = concat!(
            r#"{"time":"2023-11-14T22:13:20.123Z","request_id":"018bcfe5-687b-7000-8000-000000000001","#,
            r#""client":"203.0.113.9","site":"shop.example","route":"/api/*","method":"GET","#,
            r#""host":"shop.example","path":"/api","status":403,"mode":"block","action":"block","#,
            r#""rule":942100,"phase":2,"msg":"SQL \"injection\"","data":"found s&1c","#,
            r#""severity":"CRITICAL","tags":["attack-sqli","paranoia-level/1"],"variable":"ARGS:q","#,
            r#""excerpt":"1' or\u000a\u001b[31m 1=1","score":5,"inbound_score":10,"outbound_score":0}"#,
            "\n",
        );
        assert_eq!(String::from_utf8(out).unwrap(), expect);
        let text = expect.trim_end();
        assert!(serde_json::from_str::<serde_json::Value>(text).is_ok());
    }
}
