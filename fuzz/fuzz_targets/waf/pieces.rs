//! Rules put together of pieces: what is folded away and what is gated depends on what stands beside it, so any
//! piece meets any other here.

/// Bytes that say one rule.
const RULE: usize = 8;
/// Rules of a set, links of chains counted each.
const RULES_MAX: usize = 16;

const TARGETS: [&str; 44] = [
    "",
    "ARGS",
    "ARGS|ARGS_NAMES",
    "ARGS_GET:q",
    "ARGS_POST|!ARGS_POST:a",
    "&ARGS",
    "&ARGS_GET:q",
    "REQUEST_HEADERS|!REQUEST_HEADERS:Cookie",
    "REQUEST_HEADERS:/^x/",
    "REQUEST_COOKIES|REQUEST_COOKIES_NAMES",
    "REQUEST_URI_RAW",
    "REQUEST_URI|QUERY_STRING",
    "REQUEST_FILENAME|REQUEST_BASENAME",
    "REQUEST_LINE",
    "REQUEST_METHOD",
    "REQUEST_BODY",
    "TX:a",
    "TX:a|TX:b",
    "&TX:a",
    "&TX:b",
    "TX:score",
    "TX:/^a/",
    "TX",
    "TX:0",
    "TX:1|TX:2",
    "MATCHED_VAR",
    "MATCHED_VAR_NAME",
    "MATCHED_VARS",
    "MATCHED_VARS_NAMES",
    "&MATCHED_VARS",
    "IP:n",
    "&IP",
    "ENV:e",
    "RULE:id",
    "HIGHEST_SEVERITY",
    "REQBODY_ERROR",
    "ARGS_COMBINED_SIZE",
    "FILES|FILES_NAMES|MULTIPART_PART_HEADERS",
    "XML:/*|XML://@*",
    "RESPONSE_BODY",
    "RESPONSE_HEADERS",
    "RESPONSE_STATUS",
    "MSC_PCRE_LIMITS_EXCEEDED",
    "ARGS|TX:a",
];

const OPERATORS: [&str; 40] = [
    "@rx attack",
    "@rx (?i)(a)(t+)",
    "!@rx ^[a-z]*$",
    "@rx ^$",
    "@rx .",
    "@rx ^[0-9]+$",
    "@rx (?i)sel.?ect|<script",
    "@rx ^(?=.*a)(?!b)\\w+",
    "@rx (\\w)\\1",
    "@rx ^.{0,3}$",
    "@rx %{tx.b}",
    "@rx ^%{MATCHED_VAR}$",
    "@pm attack select <script",
    "@contains tta",
    "@contains %{tx.a}",
    "@containsWord select",
    "@strmatch ack",
    "@streq attack",
    "@streq %{tx.b}",
    "!@streq 1",
    "@beginsWith a",
    "@endsWith k",
    "@within attack|%{tx.b}|1",
    "@eq 0",
    "@eq 1",
    "!@eq 2",
    "@gt 0",
    "@gt %{tx.a}",
    "@lt 2",
    "@ge 5",
    "@le %{tx.score}",
    "@detectSQLi",
    "!@detectSQLi",
    "@detectXSS",
    "@validateByteRange 32-126",
    "@validateUrlEncoding",
    "@validateUtf8Encoding",
    "@ipMatch 192.0.2.0/24",
    "@unconditionalMatch",
    "@noMatch",
];

const FORMS: [&str; 24] = [
    "",
    "t:none",
    "t:none,t:lowercase",
    "t:none,t:uppercase",
    "t:none,t:urlDecodeUni",
    "t:none,t:urlDecodeUni,t:lowercase",
    "t:none,t:urlDecodeUni,t:htmlEntityDecode",
    "t:none,t:urlDecodeUni,t:htmlEntityDecode,t:jsDecode,t:removeNulls",
    "t:urlDecode,t:urlDecode",
    "t:none,t:replaceComments,t:compressWhitespace",
    "t:none,t:removeWhitespace",
    "t:none,t:hexEncode,t:hexDecode",
    "t:none,t:base64Decode",
    "t:none,t:length",
    "t:none,t:sha1,t:hexEncode",
    "t:none,t:cmdLine",
    "t:none,t:normalizePath",
    "t:none,t:utf8toUnicode",
    "multiMatch,t:none",
    "multiMatch,t:none,t:lowercase,t:trim",
    "multiMatch,t:none,t:urlDecodeUni,t:lowercase",
    "multiMatch,t:none,t:uppercase,t:lowercase,t:uppercase",
    "multiMatch,t:none,t:hexEncode,t:hexDecode,t:removeWhitespace",
    "t:none,t:trimLeft,t:trimRight",
];

const EFFECTS: [&str; 46] = [
    "",
    "capture",
    "setvar:tx.a=1",
    "setvar:tx.a=2",
    "setvar:tx.A=0",
    "setvar:tx.a",
    "setvar:!tx.a",
    "setvar:tx.a=+1",
    "setvar:tx.b=attack",
    "setvar:'tx.b=%{MATCHED_VAR}'",
    "setvar:'tx.b=%{tx.1}'",
    "setvar:'tx.b=%{tx.a}'",
    "setvar:'tx.a=%{tx.b}'",
    "setvar:'tx.%{MATCHED_VAR}=1'",
    "setvar:'tx.a%{tx.b}=2'",
    "setvar:'!tx.a%{tx.a}'",
    "setvar:tx.score=+2",
    "setvar:tx.score=-1",
    "setvar:'tx.score=+%{tx.a}'",
    "setvar:tx.1=x",
    "setvar:tx.attack=1",
    "expirevar:tx.a=60",
    "expirevar:tx.a=0",
    "ctl:ruleRemoveById=3",
    "ctl:ruleRemoveById=4-9",
    "ctl:ruleRemoveByTag=t1",
    "ctl:ruleRemoveByTag=^t",
    "ctl:ruleRemoveByMsg=m",
    "ctl:ruleRemoveTargetById=2-16;ARGS:a",
    "ctl:ruleRemoveTargetById=5;ARGS",
    "ctl:ruleRemoveTargetByTag=t1;TX:a",
    "ctl:ruleRemoveTargetByTag=t2;ARGS:/q/",
    "ctl:ruleRemoveTargetByMsg=m;REQUEST_URI_RAW",
    "ctl:ruleEngine=Off",
    "ctl:ruleEngine=DetectionOnly",
    "ctl:ruleEngine=On",
    "ctl:requestBodyProcessor=JSON",
    "ctl:requestBodyProcessor=XML",
    "ctl:forceRequestBodyVariable=On",
    "ctl:requestBodyAccess=Off",
    "initcol:ip=%{REMOTE_ADDR}",
    "setvar:ip.n=+1",
    "setenv:'e=%{tx.a}'",
    "sanitiseArg:q",
    "sanitiseMatched",
    "setvar:'tx.b=%{MATCHED_VAR_NAME}'",
];

const ENDS: [&str; 24] = [
    "pass,nolog",
    "pass,nolog",
    "pass,nolog",
    "pass,nolog",
    "pass,log",
    "pass,log",
    "pass,nolog,auditlog",
    "pass,log,severity:CRITICAL",
    "pass,nolog,severity:2",
    "pass,log,msg:'m %{MATCHED_VAR} %{TX.a}',logdata:'%{TX.0} %{RULE.id}'",
    "pass,nolog,msg:m",
    "pass,nolog,skip:1",
    "pass,nolog,skip:3",
    "pass,nolog,skipAfter:A",
    "pass,nolog,skipAfter:A",
    "pass,nolog,skipAfter:B",
    "pass,nolog,skipAfter:NOWHERE",
    "deny,status:403,log",
    "block,nolog",
    "drop,log",
    "redirect:'/%{tx.a}',log",
    "allow,nolog",
    "allow:phase,nolog",
    "allow:request,nolog",
];

fn pick<'a>(from: &[&'a str], byte: u8) -> &'a str {
    from[usize::from(byte) % from.len()]
}

/// The rules that these bytes say.
pub fn rules(bytes: &[u8]) -> String {
    let mut text = String::from("SecRequestBodyAccess On\nSecResponseBodyAccess On\n");
    let mut in_chain = false;
    let chunks: Vec<_> = bytes.chunks_exact(RULE).take(RULES_MAX).collect();
    for (number, said) in chunks.iter().enumerate() {
        let flags = said[7];
        let mut actions = Vec::new();
        if !in_chain {
            // Most rules are in the phases in which most happens.
            let phase = [2, 1, 1, 2, 2, 3, 4, 5][usize::from(flags % 8)];
            if flags & 0x08 != 0 {
                text.push_str(if flags & 0x10 == 0 { "SecMarker A\n" } else { "SecMarker B\n" });
            }
            actions.push(format!("id:{},phase:{phase},{}", number + 1, pick(&ENDS, said[5])));
            actions.push(pick(&["", "tag:t1", "tag:t2", "tag:t1,tag:t2"], said[6]).to_owned());
        }
        let more = [(&FORMS[..], said[2]), (&EFFECTS[..], said[3]), (&EFFECTS[..], said[4])];
        actions.extend(more.map(|(from, byte)| pick(from, byte).to_owned()));
        let target = pick(&TARGETS, said[0]);
        // A link without targets is a whole rule, and no chain ends without its last link.
        let chains = flags & 0x60 == 0x60 && number + 1 < chunks.len() && !target.is_empty();
        actions.extend(chains.then(|| "chain".to_owned()));
        actions.retain(|action| !action.is_empty());
        let actions = actions.join(",");
        match target {
            "" if in_chain => text.push_str(&format!("SecRule ARGS \"@unconditionalMatch\" \"{actions}\"\n")),
            "" => text.push_str(&format!("SecAction \"{actions}\"\n")),
            target => {
                let operator = pick(&OPERATORS, said[1]);
                text.push_str(&format!("SecRule {target} \"{operator}\" \"{actions}\"\n"));
            }
        }
        in_chain = chains;
    }
    text + "SecMarker A\nSecMarker B\n"
}
