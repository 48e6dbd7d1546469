//! Another server is asked whether a request may pass (forward-auth): what it is asked, what its answer means.
//!
//! One decision shaped these rules: who asks is said by that server or by nobody. Every field that it may set
//! is taken out of the client's request first, in every way of writing it, whether the answer has it or not
//! (SEA-10, SEA-11). And what cannot be understood is no permission.

use doorman_http::target::authority;
use doorman_http::{FieldId, FieldSet, Fields, RequestHead, is_field_value, is_token};

use crate::identity::Names;
use crate::outcome::Refusal;

/// Fields of a refusal that its client is shown unless others are named: what it takes to sign in.
pub const SHOWN: [&str; 7] = [
    "location",
    "www-authenticate",
    "set-cookie",
    "content-type",
    "cache-control",
    "retry-after",
    "vary",
];

/// Fields that say where the request was going. The house says them; a client's own are taken out.
const TOLD: [&str; 5] = [
    "x-forwarded-method",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-uri",
    "x-forwarded-for",
];

/// Other fields by which servers are told where a request was going, or who sent it. A server may believe these
/// more than ours, so that a client could pass one path off as another: nobody says them.
const TOLD_ELSEWHERE: [&str; 8] = [
    "forwarded",
    "x-auth-request-redirect",
    "x-original-host",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// Fields that are not passed on to the server: they speak of a body or of stored copies, and there is
/// neither here. What is answered is read by the house, which takes no coding off.
const KEPT_BACK: FieldSet = FieldSet::of(&[
    FieldId::AcceptEncoding,
    FieldId::ContentEncoding,
    FieldId::ContentLength,
    FieldId::ContentLocation,
    FieldId::ContentRange,
    FieldId::ContentType,
    FieldId::Expect,
    FieldId::Host,
    FieldId::IfMatch,
    FieldId::IfModifiedSince,
    FieldId::IfNoneMatch,
    FieldId::IfRange,
    FieldId::IfUnmodifiedSince,
    FieldId::Range,
]);

/// What may not be set by that server in the client's request: it frames the message, or belongs to the
/// connection.
fn may_be_set(name: &str) -> bool {
    let id = FieldId::of(name.as_bytes());
    !(id.is_hop_by_hop() || matches!(id, FieldId::Host | FieldId::ContentLength | FieldId::Expect))
}

/// Which fields the question has.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    /// All that a request may carry on.
    All,
    /// These.
    These(Vec<Box<str>>),
}

/// The rules of one route.
#[derive(Clone, Debug)]
pub struct Rules {
    asked: Asked,
    /// Fields of a permission that go into the client's request.
    set: Vec<Box<str>>,
    set_names: Names,
    /// Fields of a refusal that go to the client.
    shown: Vec<Box<str>>,
}

/// A field's name that cannot be in that list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadName(pub Box<str>);

impl std::fmt::Display for BadName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:?} is no name of a field that may be passed on; take it out or mend it",
            self.0
        )
    }
}

impl std::error::Error for BadName {}

/// What an answer of the server means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Meaning {
    /// The request may pass.
    Pass,
    /// It may not, and the client gets this answer: its status, the fields that are shown, its body.
    Refuse,
    /// It may not, and the answer is nobody's business: 502 for one that means nothing, 503 for a server that
    /// is ill.
    Fail(Refusal),
}

impl Rules {
    /// Rules that pass all of a client's fields on to the server, set the fields `set` in its request if the
    /// server names them, and show clients the fields [`SHOWN`] of a refusal.
    ///
    /// # Errors
    /// A name in `set` is no token, or frames a message.
    pub fn new<'a>(set: impl IntoIterator<Item = &'a str>) -> Result<Self, BadName> {
        let set = names(set)?;
        let mut set_names = Names::new();
        for name in &set {
            if !may_be_set(name) || !set_names.add(name) {
                return Err(BadName(name.clone()));
            }
        }
        let shown = SHOWN.map(Into::into).to_vec();
        Ok(Self { asked: Asked::All, set, set_names, shown })
    }

    /// Passes on these fields alone.
    ///
    /// # Errors
    /// A name is no token.
    pub fn asking<'a>(mut self, asked: impl IntoIterator<Item = &'a str>) -> Result<Self, BadName> {
        self.asked = Asked::These(names(asked)?);
        Ok(self)
    }

    /// Shows clients these fields of a refusal.
    ///
    /// # Errors
    /// A name is no token, or belongs to the connection.
    pub fn showing<'a>(
        mut self,
        shown: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, BadName> {
        let shown = names(shown)?;
        if let Some(bad) = shown.iter().find(|name| !may_be_set(name)) {
            return Err(BadName(bad.clone()));
        }
        self.shown = shown;
        Ok(self)
    }

    /// The names by which the server says who asks: no client may say them.
    #[must_use]
    pub const fn identity(&self) -> &Names {
        &self.set_names
    }

    /// The fields of the question about this request. `client` is the client's address as text; empty if it
    /// has none. What the client says of where its request was going is not among them, unless the peer that
    /// sent it is believed (`trusted`) in what it says of scheme and host.
    #[must_use]
    pub fn question(&self, head: &RequestHead, client: &str, trusted: bool) -> Fields {
        let mut fields = Fields::new();
        for (id, name, value) in head.fields.iter() {
            if KEPT_BACK.has(id) || self.set_names.has(name) || is_told(name) {
                continue;
            }
            let is_asked = match &self.asked {
                Asked::All => true,
                Asked::These(these) => {
                    these.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(name))
                }
            };
            if is_asked {
                fields.push(name, value);
            }
        }
        tell(&mut fields, head, client, trusted);
        fields
    }

    /// What an answer with this status means. `None`: there was none in time.
    pub const fn meaning(status: Option<u16>) -> Meaning {
        match status {
            Some(200..=299) => Meaning::Pass,
            // Of the redirections those that name a place to go to; 300, 304 and the rest are no answer to this.
            Some(401 | 403 | 301 | 302 | 303 | 307 | 308) => Meaning::Refuse,
            None | Some(429 | 500..=599) => Meaning::Fail(Refusal::Unavailable),
            Some(_) => Meaning::Fail(Refusal::BadAnswer),
        }
    }

    /// Takes out of the client's request everything that the server alone may say. To be done before the
    /// server is asked, whatever it will answer.
    pub fn strip(&self, request: &mut Fields) -> usize {
        self.set_names.strip(request)
    }

    /// Sets in the client's request what the server's permission says. The client's own go first, always: a
    /// field that the answer lacks is then lacking. Says which field has a value that cannot be passed on;
    /// nothing is set then, and the request must not pass.
    ///
    /// # Errors
    /// [`Refusal::BadAnswer`]: a value that no field can have.
    pub fn permit(&self, answer: &Fields, request: &mut Fields) -> Result<(), Refusal> {
        self.strip(request);
        let wanted = |name: &str| answer.all_named(name.as_bytes()).all(is_field_value);
        if !self.set.iter().all(|name| wanted(name)) {
            return Err(Refusal::BadAnswer);
        }
        for name in &self.set {
            for value in answer.all_named(name.as_bytes()) {
                request.push(name.as_bytes(), value);
            }
        }
        Ok(())
    }

    /// What a client is shown of a refusal: name and value.
    pub fn shown<'a>(&'a self, answer: &'a Fields) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let is_shown =
            |name: &[u8]| self.shown.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(name));
        answer
            .iter()
            .filter(move |(_, name, value)| is_shown(name) && is_field_value(value))
            .map(|(_, name, value)| (name, value))
    }
}

/// Whether a careless reader takes this name for one by which servers are told where a request was going.
fn is_told(name: &[u8]) -> bool {
    const FORWARDED: &str = "x-forwarded-";
    let careless =
        |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    let begins = |told: &str| {
        told.len() <= name.len() && name.iter().zip(told.bytes()).all(|(&a, b)| careless(a) == b)
    };
    begins(FORWARDED) || TOLD_ELSEWHERE.iter().any(|told| told.len() == name.len() && begins(told))
}

fn tell(fields: &mut Fields, head: &RequestHead, client: &str, trusted: bool) {
    let said = |id: FieldId| head.fields.sole(id).filter(|_| trusted);
    let scheme = said(FieldId::XForwardedProto).filter(|value| is_token(value));
    let host = said(FieldId::XForwardedHost).filter(|value| authority(value).is_ok());
    let target =
        [head.path(), &head.query().map(|query| [&b"?"[..], query].concat()).unwrap_or_default()]
            .concat();
    let values: [&[u8]; 5] = [
        head.method.as_str().as_bytes(),
        scheme.unwrap_or(head.scheme.as_str().as_bytes()),
        host.unwrap_or(head.authority()),
        &target,
        client.as_bytes(),
    ];
    for (name, value) in TOLD.iter().zip(values) {
        if !value.is_empty() {
            // A target holds no byte that a field may not; one that did is left out.
            let _ = fields.append(name.as_bytes(), value);
        }
    }
}

fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<Box<str>>, BadName> {
    let check = |name: &str| {
        is_token(name.as_bytes()).then(|| name.into()).ok_or_else(|| BadName(name.into()))
    };
    names.into_iter().map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::new();
        for (name, value) in lines {
            fields.push(name.as_bytes(), value.as_bytes());
        }
        fields
    }

    fn shown(fields: &Fields) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        fields.received().map(|(_, name, value)| (text(name), text(value))).collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    /// SEA-10, SEA-11.
    #[test]
    fn a_client_cannot_say_who_it_is() {
        let rules = Rules::new(["X-Auth-User", "X-Groups"]).unwrap();
        let sent = [
            ("x-auth-user", "root"),
            ("X_Auth_User", "root"),
            ("X-AUTH.USER", "root"),
            ("x_groups", "wheel"),
            ("accept", "*/*"),
        ];
        // The answer names the user and no group.
        let mut request = fields(&sent);
        rules.permit(&fields(&[("X-AUTH-USER", "ann"), ("X-Other", "1")]), &mut request).unwrap();
        assert_eq!(shown(&request), [pair("accept", "*/*"), pair("X-Auth-User", "ann")]);
        // It names nobody.
        let mut request = fields(&sent);
        rules.permit(&fields(&[]), &mut request).unwrap();
        assert_eq!(shown(&request), [pair("accept", "*/*")]);
        // It names somebody under an alias, which is not what was asked for.
        let mut request = fields(&sent);
        rules.permit(&fields(&[("x_auth_user", "ann")]), &mut request).unwrap();
        assert_eq!(shown(&request), [pair("accept", "*/*")]);
        // Several values are several.
        let mut request = fields(&sent);
        rules.permit(&fields(&[("x-groups", "a"), ("x-groups", "b")]), &mut request).unwrap();
        assert_eq!(shown(&request)[1..], [pair("X-Groups", "a"), pair("X-Groups", "b")]);
        // A value that no field can have.
        let mut request = fields(&sent);
        let answer = fields(&[("x-auth-user", "ann"), ("x-groups", "a\r\nx: y")]);
        assert_eq!(rules.permit(&answer, &mut request), Err(Refusal::BadAnswer));
        assert_eq!(shown(&request), [pair("accept", "*/*")]);
    }

    #[test]
    fn what_answers_mean() {
        use Meaning::{Fail, Pass, Refuse};
        for (status, expect) in [
            (Some(200), Pass),
            (Some(204), Pass),
            (Some(299), Pass),
            (Some(301), Refuse),
            (Some(302), Refuse),
            (Some(303), Refuse),
            (Some(307), Refuse),
            (Some(308), Refuse),
            (Some(401), Refuse),
            (Some(403), Refuse),
            (Some(101), Fail(Refusal::BadAnswer)),
            (Some(300), Fail(Refusal::BadAnswer)),
            (Some(304), Fail(Refusal::BadAnswer)),
            (Some(400), Fail(Refusal::BadAnswer)),
            (Some(404), Fail(Refusal::BadAnswer)),
            (Some(407), Fail(Refusal::BadAnswer)),
            (Some(0), Fail(Refusal::BadAnswer)),
            (Some(999), Fail(Refusal::BadAnswer)),
            (Some(429), Fail(Refusal::Unavailable)),
            (Some(500), Fail(Refusal::Unavailable)),
            (Some(503), Fail(Refusal::Unavailable)),
            (None, Fail(Refusal::Unavailable)),
        ] {
            assert_eq!(Rules::meaning(status), expect, "{status:?}");
        }
        let passing = (0..=999).filter(|&status| Rules::meaning(Some(status)) == Pass).count();
        assert_eq!(passing, 100);
    }

    #[test]
    fn what_the_server_is_asked() {
        let mut head = RequestHead::default();
        head.fields = fields(&[
            ("Cookie", "a=1"),
            ("Content-Type", "text/plain"),
            ("Content-Length", "5"),
            ("Connection", "close"),
            ("If-None-Match", "*"),
            ("Range", "bytes=0-"),
            ("X_Forwarded_Uri", "/public"),
            ("X-Forwarded-Prefix", "/public"),
            ("X-Original-URL", "https://a.test/public"),
            ("x_original_method", "GET"),
            ("Forwarded", "host=b.test"),
            ("X-Real-IP", "127.0.0.1"),
            ("Accept-Encoding", "gzip"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "front.test"),
            ("X-Forwarded-For", "1.2.3.4"),
            ("X-User", "root"),
            ("X-Own", "1"),
        ]);
        let rules = Rules::new(["X-User"]).unwrap();
        let asked = rules.question(&head, "192.0.2.1", false);
        let names: Vec<_> = shown(&asked).into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            ["Cookie", "X-Own", "x-forwarded-method", "x-forwarded-proto", "x-forwarded-for"]
        );
        assert!(shown(&asked).contains(&pair("x-forwarded-proto", "http")));
        assert!(shown(&asked).contains(&pair("x-forwarded-method", "GET")));
        assert!(shown(&asked).contains(&pair("x-forwarded-for", "192.0.2.1")));
        assert_eq!(asked.all_named(b"x-forwarded-for").count(), 1);
        assert!(asked.all_named(b"x_forwarded_uri").next().is_none());
        let asked = shown(&rules.question(&head, "192.0.2.1", true));
        assert!(asked.contains(&pair("x-forwarded-proto", "https")));
        assert!(asked.contains(&pair("x-forwarded-host", "front.test")));
        let rules = rules.asking(["cookie", "X-Forwarded-For", "x-user"]).unwrap();
        let asked = rules.question(&head, "", false);
        assert_eq!(shown(&asked)[0], pair("Cookie", "a=1"));
        assert!(asked.all_named(b"x-own").next().is_none());
        assert!(asked.all_named(b"x-user").next().is_none());
        assert!(asked.all_named(b"x-forwarded-for").next().is_none());
    }

    #[test]
    fn what_a_client_is_shown() {
        let answer = fields(&[
            ("Location", "/login"),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("Transfer-Encoding", "chunked"),
            ("X-Internal", "1"),
        ]);
        let rules = Rules::new([]).unwrap();
        let names = |rules: &Rules| -> Vec<String> {
            let names =
                rules.shown(&answer).map(|(name, _)| String::from_utf8_lossy(name).into_owned());
            names.collect()
        };
        assert_eq!(names(&rules), ["Location", "Set-Cookie", "Set-Cookie"]);
        assert_eq!(names(&rules.showing(["x-internal"]).unwrap()), ["X-Internal"]);
    }

    #[test]
    fn names_that_cannot_be_listed() {
        for bad in ["", "a b", "Host", "content-length", "Transfer-Encoding", "Connection"] {
            assert_eq!(Rules::new([bad]).unwrap_err(), BadName(bad.into()));
        }
        assert!(Rules::new(["X-A"]).unwrap().asking(["a b"]).is_err());
        assert!(Rules::new(["X-A"]).unwrap().showing(["Connection"]).is_err());
    }
}
