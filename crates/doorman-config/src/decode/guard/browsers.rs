//! `cors`, `csrf` and `security-headers`.

use std::time::Duration;

use super::Decoder;
use super::identity::time_within;
use crate::address;
use crate::decode::ending;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{
    Cors, CorsFields, Csrf, Diagnostic, HostPattern, Origin, Scheme, SecurityHeaders, Setting,
    Spanned,
};

/// Origins, methods and fields of one block.
const LISTED_MAX: usize = 200;

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Decoder<'_> {
    #[expect(clippy::option_option, reason = "`cors off` is such a line too")]
    pub(super) fn cors(&mut self, block: &Item) -> Option<Option<Cors>> {
        if self.says_off(block, "cors ORIGIN") {
            return Some(None);
        }
        let methods = ["GET", "HEAD", "POST"].map(str::to_owned).to_vec();
        let mut cors = Cors {
            origins: self.origins(&block.values),
            methods: Setting::default_of(methods),
            headers: Setting::default_of(CorsFields::These(Vec::new())),
            expose: Vec::new(),
            credentials: Setting::default_of(false),
            max_age: Setting::default_of(Duration::from_secs(600)),
            private_network: Setting::default_of(false),
            span: block.span,
        };
        for item in &block.children {
            self.cors_word(item, &mut cors);
        }
        self.check_credentials(&cors);
        let is_whole = cors.origins.len() == block.values.len();
        self.check_listed(block, cors.origins.len() + cors.expose.len());
        is_whole.then_some(Some(cors))
    }

    fn cors_word(&mut self, item: &Item, cors: &mut Cors) {
        match item.directive.name {
            "methods" => {
                let methods: Vec<String> = item
                    .values
                    .iter()
                    .filter_map(|text| Some(self.ok(ending::method(text))?.value))
                    .collect();
                if !item.is_off() {
                    cors.methods = Setting::written(methods, item.span);
                }
            }
            "headers" => {
                let fields = self.cors_fields(item);
                if !item.is_off() {
                    cors.headers = Setting::written(fields, item.span);
                }
            }
            "expose" => {
                for text in &item.values {
                    let field = self.ok(values::field(text));
                    cors.expose.extend(field.filter(|_| !item.is_off()));
                }
            }
            "credentials" => self.set(item, &mut cors.credentials, super::switch),
            "max-age" => self.set(item, &mut cors.max_age, |text| {
                time_within(text, Duration::ZERO, DAY, "0s to 1d")
            }),
            _ => self.set(item, &mut cors.private_network, super::switch),
        }
    }

    fn cors_fields(&mut self, item: &Item) -> CorsFields {
        if let [star] = item.values.as_slice()
            && star.word() == Some("*")
        {
            return CorsFields::Any;
        }
        let fields =
            item.values.iter().filter_map(|text| Some(self.ok(values::field(text))?.value));
        CorsFields::These(fields.collect())
    }

    /// Browsers do not let it pass, and whoever makes them would let every page act in the name of users.
    fn check_credentials(&mut self, cors: &Cors) {
        let any = cors.origins.iter().find(|origin| origin.value == Origin::Any);
        let (Some(any), Some(span), true) = (any, cors.credentials.span, cors.credentials.value)
        else {
            return;
        };
        let message = "`credentials on` for the pages of everybody";
        let error = Diagnostic::error("E0254", span, message);
        self.say(
            error
                .also(any.span, "everybody")
                .help("name the origins whose pages may act for users"),
        );
    }

    #[expect(clippy::option_option, reason = "`csrf off` is such a line too")]
    pub(super) fn csrf(&mut self, block: &Item) -> Option<Option<Csrf>> {
        if self.says_off(block, "csrf on") {
            return Some(None);
        }
        self.ok(super::switch(block.value(0)?))?;
        let mut allow = Vec::new();
        for item in &block.children {
            let origins = self.origins(&item.values);
            if let Some(any) = origins.iter().find(|origin| origin.value == Origin::Any) {
                let message = "with the origin *, nothing would be refused";
                let error = Diagnostic::error("E0254", any.span, message);
                self.say(error.help("write `csrf off` where it is not wanted"));
            }
            if !item.is_off() {
                allow.extend(origins);
            }
        }
        self.check_listed(block, allow.len());
        Some(Some(Csrf { allow, span: block.span }))
    }

    #[expect(clippy::option_option, reason = "`security-headers off` is such a line too")]
    pub(super) fn security_headers(
        &mut self,
        item: &Item,
    ) -> Option<Option<Spanned<SecurityHeaders>>> {
        let which = [
            ("basic", Some(SecurityHeaders::Basic)),
            ("strict", Some(SecurityHeaders::Strict)),
            ("off", None),
        ];
        let found = self.ok(values::choice(item.value(0)?, &which, &[]))?;
        Some(found.value.map(|which| Spanned::new(which, found.span)))
    }

    fn origins(&mut self, values: &[Text]) -> Vec<Spanned<Origin>> {
        values.iter().filter_map(|text| self.ok(origin(text))).collect()
    }

    fn check_listed(&mut self, block: &Item, count: usize) {
        if count > LISTED_MAX {
            let name = block.directive.name;
            let message = format!("more than {LISTED_MAX} values in one `{name}`");
            let error = Diagnostic::error("E0110", block.span, message);
            self.say(error.help("hosts below one are written https://*.example.com"));
        }
    }
}

/// An origin as browsers write it (RFC 6454 section 6.2).
fn origin(text: &Text) -> Value<Origin> {
    let wrong = || {
        let message = format!("`{}` is not an origin", text.shown());
        Diagnostic::error("E0254", text.span, message)
    };
    let forms = "an origin is https://app.example.com, https://*.example.com or *";
    let written = text.text.as_str();
    match written {
        "*" => return Ok(Spanned::new(Origin::Any, text.span)),
        "null" => {
            return Err(wrong().help(
                "everybody can make a page whose origin is null: name the origins that are meant",
            ));
        }
        _ => {}
    }
    let rest = written.strip_prefix("https://").or_else(|| written.strip_prefix("http://"));
    let Some(rest) = rest else { return Err(wrong().help(forms)) };
    if let Some(at) = rest.find(['/', '?', '#']) {
        let origin = &written[..written.len() - rest.len() + at];
        return Err(wrong().help(format!("an origin has no path: did you mean `{origin}`?")));
    }
    let site = address::site(text).map_err(|_| wrong().help(forms))?.value;
    let (scheme, default) = match site.scheme {
        Some(Scheme::Http) => ("http://", 80),
        _ => ("https://", 443),
    };
    let port = site.port.filter(|port| *port != default).map(|port| format!(":{port}"));
    let port = port.unwrap_or_default();
    let origin = match site.host {
        HostPattern::Any => return Err(wrong().help(forms)),
        HostPattern::Name(name) => Origin::Exact(format!("{scheme}{name}{port}")),
        HostPattern::Ip(std::net::IpAddr::V6(ip)) => Origin::Exact(format!("{scheme}[{ip}]{port}")),
        HostPattern::Ip(ip) => Origin::Exact(format!("{scheme}{ip}{port}")),
        HostPattern::Wildcard(name) => {
            Origin::Below { scheme: scheme.to_owned(), suffix: format!(".{name}{port}") }
        }
    };
    Ok(Spanned::new(origin, text.span))
}
