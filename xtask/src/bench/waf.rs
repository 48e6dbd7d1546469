//! What the scenarios of the firewall need beside others: the requests, which are those of a program, of a
//! browser and of a form and which no rule takes for an attack; the proof that rules were at work, because
//! a firewall that lets an attack through is cheap; and what it takes to have rules at all.

use std::{fmt::Write, fs, thread, time::Instant};

use crate::{
    bench::{
        contender::{Contender, Ground},
        measure::SETTLE,
        scenario::{Load, Scenario, Way},
    },
    failure::{During, Failure},
    process::{resident_kib, spent_by_tree},
    wire::{self, Answer, Dialer},
};

/// Where Debian has nginx's module.
pub(super) const NGINX_MODULE: &str = "/usr/lib/nginx/modules/ngx_http_modsecurity_module.so";
/// A file of Debian's package of rules; both contenders read the rules beside it.
pub(super) const CORE_RULES: &str = "/usr/share/modsecurity-crs/owasp-crs.load";

/// What nginx reads, as an operator who cares about time has it: all that is needed to refuse, and no log of
/// audits. The rules and their setup are the files that doorman finds by itself.
const PROLOGUE: &str = "SecRuleEngine On
SecRequestBodyAccess On
SecRequestBodyLimit 13107200
SecRequestBodyNoFilesLimit 131072
SecResponseBodyAccess Off
SecAuditEngine Off
SecUnicodeMapFile /etc/nginx/unicode.mapping 20127
Include /etc/modsecurity/crs/crs-setup.conf
Include /usr/share/modsecurity-crs/rules/*.conf
";

/// doorman's words for the same.
const CORE_RULE_SET: &str = "waf crs level 1 mode block; ";

/// Asked for by everybody.
const FIELDS: [(&str, &str); 2] = [("Host", "localhost"), ("User-Agent", AGENT)];
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
/// What a browser sends beside them: eight fields, two cookies among them.
const BROWSER_FIELDS: [(&str, &str); 6] = [
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("Accept-Language", "en-GB,en;q=0.7,de;q=0.3"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("Referer", "http://localhost/catalogue/garden"),
    ("Cookie", "session=4f7c2a9e81d35b60; theme=dark"),
    ("Upgrade-Insecure-Requests", "1"),
];
const BROWSER_QUERY: &str = "?page=2&sort=price&q=watering+can+green";

/// An order as people fill it in: twenty fields.
const FORM: [(&str, &str); 20] = [
    ("salutation", "Ms"),
    ("first_name", "Eleonore"),
    ("last_name", "Winterbottom"),
    ("company", "Winterbottom+Nursery+and+Garden+Centre"),
    ("street", "14+Old+Mill+Lane"),
    ("postcode", "CB4+1YT"),
    ("city", "Cambridge"),
    ("country", "GB"),
    ("email", "eleonore.winterbottom%40garden.example"),
    ("telephone", "01223+496000"),
    ("delivery", "standard"),
    ("delivery_date", "2026-12-04"),
    ("quantity", "12"),
    ("article", "Watering+can%2C+galvanised%2C+ten+litres"),
    ("colour", "moss+green"),
    ("newsletter", "yes"),
    ("payment", "invoice"),
    ("reference", "spring-2026-0417"),
    (
        "message",
        "Good+morning%2C+we+have+bought+from+you+for+many+years+and+were+always+happy+with+the+quality.+This+time+we+\
         would+like+to+have+the+cans+delivered+to+our+second+shop%2C+which+lies+behind+the+railway+station.+The+gate+\
         is+open+on+weekdays+until+five+in+the+afternoon.+Please+ring+the+bell+twice%2C+as+the+dog+sleeps+soundly+and+\
         nobody+hears+the+first+one.+If+the+green+ones+are+sold+out%2C+blue+is+fine+as+well.+We+would+also+be+glad+to+\
         get+your+new+catalogue+on+paper%2C+since+our+older+customers+like+to+leaf+through+it+with+a+cup+of+tea.",
    ),
    (
        "note",
        "For+the+driver%3A+the+lane+is+narrow+and+larger+vans+find+it+easier+to+come+from+the+north.+There+is+room+to+\
         turn+round+at+the+end%2C+next+to+the+greenhouse.+Parcels+may+be+left+under+the+porch+if+it+does+not+rain%2C+\
         otherwise+in+the+shed+with+the+red+door%2C+which+is+never+locked.+Last+time+two+cans+arrived+with+a+dent%2C+\
         which+we+did+not+mind%2C+but+a+little+more+straw+between+them+would+help.+The+invoice+goes+to+the+address+\
         above%2C+the+goods+to+the+shop.+Many+thanks+for+your+trouble%2C+and+kind+regards+to+everyone+in+the+office+\
         from+all+of+us+here.+We+look+forward+to+seeing+you+at+the+flower+show+in+May%2C+where+we+will+again+have+the+\
         stand+by+the+fountain+and+share+a+tent+with+the+beekeepers+of+the+next+village.+Our+own+stock+of+seedlings+is+\
         listed+on+the+sheet+that+we+sent+by+post%2C+with+prices+for+small+and+large+trays%2C+and+whoever+comes+early+\
         has+the+first+choice.",
    ),
];

/// What no set of rules lets through: an injection of SQL.
const PROBE: &str = "?id=1%27%20UNION%20SELECT%20name%2C%20password%20FROM%20users--%20-";

/// What looks at which requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watch {
    pub(crate) rules: Rules,
    pub(crate) visit: Visit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    /// There is no firewall.
    None,
    /// There is one for other requests.
    Off,
    /// doorman's own.
    Starter,
    /// The Core Rule Set, at its first level.
    Core,
}

/// A request that is no attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visit {
    /// What a program sends: three fields.
    Bare,
    /// What a browser sends: eight fields, three arguments, two cookies.
    Browser,
    /// A form of twenty fields in two kilobytes.
    Form,
}

impl Visit {
    pub(crate) fn query(self) -> &'static str {
        match self {
            Self::Browser => BROWSER_QUERY,
            Self::Bare | Self::Form => "",
        }
    }

    fn fields(self) -> Vec<(&'static str, &'static str)> {
        let more: &[_] = match self {
            Self::Bare => &[("Accept", "*/*")],
            Self::Browser => &BROWSER_FIELDS,
            Self::Form => &[
                ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
                ("Content-Type", "application/x-www-form-urlencoded"),
            ],
        };
        FIELDS.iter().chain(more).copied().collect()
    }

    fn body(self) -> String {
        match self {
            Self::Bare | Self::Browser => String::new(),
            Self::Form => {
                let fields: Vec<_> =
                    FORM.iter().map(|(name, value)| format!("{name}={value}")).collect();
                fields.join("&")
            }
        }
    }

    /// The whole request for `path`.
    fn request(self, path: &str) -> Vec<u8> {
        let (method, body) = (self.method(), self.body());
        let mut text = format!("{method} {path} HTTP/1.1\r\n");
        // Writing to a string can't fail.
        for (name, value) in self.fields() {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if !body.is_empty() {
            let _ = write!(text, "Content-Length: {}\r\n", body.len());
        }
        format!("{text}\r\n{body}").into_bytes()
    }

    fn method(self) -> &'static str {
        match self {
            Self::Bare | Self::Browser => "GET",
            Self::Form => "POST",
        }
    }

    /// The same for wrk. What is said here has none of what ends such a literal.
    fn script(self) -> String {
        let mut text = format!("wrk.method = \"{}\"\n", self.method());
        for (name, value) in self.fields() {
            let _ = writeln!(text, "wrk.headers[\"{name}\"] = [[{value}]]");
        }
        if self == Self::Form {
            let _ = writeln!(text, "wrk.body = [[{}]]", self.body());
        }
        text
    }
}

/// What it took to have a contender ready, and what it holds then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Begun {
    /// From its start to its first right answers.
    pub(crate) ready_ms: f64,
    pub(crate) cpu_ms: f64,
    pub(crate) resident_kib: u64,
}

impl Ground {
    pub(super) fn visit_script(&self, visit: Visit) -> Result<String, Failure> {
        let script = self.path("visit.lua");
        fs::write(&script, visit.script()).during("writing the visit's script")?;
        Ok(script)
    }

    /// An ordinary request is answered, and an attack is refused where somebody looks.
    pub(super) fn check_watch(&self, scenario: &Scenario, watch: Watch) -> Result<(), Failure> {
        let body = watch.visit.body().len();
        let wanted = match scenario.load {
            // The origin answers the number of bytes that arrived, and a line feed.
            Load::Post => body.to_string().len() as u64 + 1,
            _ => scenario.body_bytes,
        };
        let dialer = Dialer::new(self.ports.plain)?;
        let request = watch.visit.request(&scenario.path(0));
        let answer = wire::ask(&mut dialer.plain()?, &request).during("asking as visitors do")?;
        let right = Answer { status: 200, body_bytes: wanted };
        if answer != right {
            return Err(Failure::new(format!("it answers {answer:?} and not {right:?}")));
        }
        let probe = Visit::Bare.request(&format!("/b/{}{PROBE}", scenario.body_bytes));
        let answer = wire::ask(&mut dialer.plain()?, &probe).during("attacking it")?;
        let right = match watch.rules {
            Rules::None | Rules::Off => 200,
            Rules::Starter | Rules::Core => 403,
        };
        if answer.status != right {
            return Err(Failure::new(format!("an attack has {answer:?} and not {right}")));
        }
        Ok(())
    }

    /// Starts a contender, and lets it rest before its memory is read.
    pub(super) fn begin(&self, who: Contender, scenario: &Scenario) -> Result<Begun, Failure> {
        let begin = Instant::now();
        let mut proxy = self.start(who, scenario)?;
        self.await_right_answer(&mut proxy, scenario)?;
        let ready_ms = begin.elapsed().as_secs_f64() * 1e3;
        #[expect(clippy::cast_precision_loss, reason = "ticks are far below 2^52")]
        let [spent, second] =
            [spent_by_tree(proxy.id()).total(), rustix::param::clock_ticks_per_second()]
                .map(|ticks| ticks as f64);
        thread::sleep(SETTLE);
        let cpu_ms = spent / second * 1e3;
        Ok(Begun { ready_ms, cpu_ms, resident_kib: resident_kib(proxy.id()) })
    }

    /// nginx's part of a configuration: its module at the top, and the switch in `http`.
    pub(super) fn nginx_watch(&self, rules: Rules) -> Result<[String; 2], Failure> {
        if rules != Rules::Core {
            return Ok([String::new(), String::new()]);
        }
        let file = self.path("modsecurity.conf");
        fs::write(&file, PROLOGUE).during("writing the prologue of the rules")?;
        Ok([
            format!("load_module {NGINX_MODULE};\n"),
            format!("    modsecurity on;\n    modsecurity_rules_file {file};\n"),
        ])
    }
}

/// The routes of doorman's site. Rules that are off are there for a route that nobody asks for, so that the
/// room that looks is built; where there are none, there is that route still, since a route costs what it costs.
pub(super) fn doorman_routes(rules: Rules) -> String {
    let route = |path, words| format!("route {path} {{ {words}proxy origin }}");
    match rules {
        Rules::None => format!("{} {}", route("/watched/*", ""), route("*", "")),
        Rules::Off => format!("{} {}", route("/watched/*", CORE_RULE_SET), route("*", "waf off; ")),
        Rules::Starter => route("*", "waf starter; "),
        Rules::Core => route("*", CORE_RULE_SET),
    }
}

/// The same load without any rules.
pub(super) fn unwatched(scenario: &Scenario, watch: Watch) -> Scenario {
    Scenario { way: Way::Watched(Watch { rules: Rules::None, ..watch }), ..*scenario }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visits_are_whole_requests() {
        for (visit, fields, bytes) in [(Visit::Bare, 3, 0), (Visit::Browser, 8, 0)] {
            let request = String::from_utf8(visit.request("/b/1")).unwrap();
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert_eq!((head.lines().count() - 1, body.len()), (fields, bytes), "{visit:?}");
        }
        let request = String::from_utf8(Visit::Form.request("/b/0")).unwrap();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /b/0 HTTP/1.1\r\n"));
        assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())));
        assert_eq!(body.split('&').count(), 20);
        assert!((1800..=2048).contains(&body.len()), "{}", body.len());
    }

    #[test]
    fn the_generator_says_the_same() {
        let script = Visit::Form.script();
        assert!(script.contains(&format!("wrk.body = [[{}]]", Visit::Form.body())));
        // Each literal ends once: nothing in it ends it before.
        assert_eq!(script.matches("]]").count(), Visit::Form.fields().len() + 1);
    }

    #[test]
    fn what_is_off_is_there() {
        for (rules, wanted) in [
            (Rules::None, "route /watched/* { proxy origin } route * { proxy origin }"),
            (Rules::Starter, "route * { waf starter; proxy origin }"),
            (
                Rules::Off,
                "route /watched/* { waf crs level 1 mode block; proxy origin } \
                 route * { waf off; proxy origin }",
            ),
        ] {
            assert_eq!(doorman_routes(rules), wanted);
        }
    }
}
