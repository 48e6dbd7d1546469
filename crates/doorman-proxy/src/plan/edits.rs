//! Edits of a route, ready to run.

use std::sync::Arc;

use doorman_config::{
    ClientCert, CookiePart, Forwarded, HeaderEdit, LocationRewrite, RouteOptions, Spanned,
    UpstreamHost,
};
use doorman_http::template::Template;
use doorman_transform::{
    self as transform, Auto, CookieRewrite, ForwardedMode, HeaderEdits, LocationRule, Rewrite,
    RewritePart, StripPrefix,
};

use super::compile::{Faults, code};

/// What `Host` the upstream sees.
#[derive(Default)]
pub(crate) enum HostEdit {
    /// What the client sent.
    #[default]
    Preserve,
    /// The server's own address.
    Upstream,
    /// This.
    Value(Template),
}

/// Everything that a route changes in heads.
#[derive(Default)]
pub(crate) struct RouteEdits {
    pub(crate) host: HostEdit,
    pub(crate) strip_prefix: Option<StripPrefix>,
    pub(crate) rewrites: Vec<Rewrite>,
    pub(crate) request: HeaderEdits,
    pub(crate) response: HeaderEdits,
    pub(crate) forwarded: ForwardedMode,
    pub(crate) location: transform::LocationRewrite,
    pub(crate) cookies: Vec<CookieRewrite>,
    /// What browsers are told of TLS.
    pub(crate) hsts: Option<Box<str>>,
    /// Names under which some route passes on who a client proved to be.
    pub(crate) identities: Arc<[Box<str>]>,
    /// Whether the client's certificate is passed on.
    pub(crate) client_cert: bool,
}

impl RouteEdits {
    pub(super) fn compile(options: &RouteOptions, faults: &mut Faults) -> Self {
        Self {
            host: match &options.host.value {
                UpstreamHost::Preserve => HostEdit::Preserve,
                UpstreamHost::Upstream => HostEdit::Upstream,
                UpstreamHost::Value(template) => HostEdit::Value(template.clone()),
            },
            strip_prefix: options.strip_prefix.as_ref().and_then(|prefix| {
                StripPrefix::new(&prefix.value)
                    .map_err(|error| faults.error(code::EDIT, prefix.span, error.to_string()))
                    .ok()
            }),
            rewrites: options.rewrites.iter().filter_map(|r| rewrite(r, faults)).collect(),
            request: edits(&options.request_headers, faults),
            response: edits(&options.response_headers, faults),
            forwarded: match options.forwarded.value {
                Forwarded::XForwarded => ForwardedMode::XForwarded,
                Forwarded::Rfc7239 => ForwardedMode::Rfc7239,
                Forwarded::Both => ForwardedMode::Both,
                Forwarded::Off => ForwardedMode::Off,
            },
            location: location(&options.rewrite_location.value),
            hsts: options.hsts.as_ref().map(|hsts| hsts.value.as_str().into()),
            identities: Arc::default(),
            client_cert: options.client_cert.value == ClientCert::Rfc9440,
            cookies: options
                .rewrite_cookies
                .iter()
                .map(|rule| CookieRewrite {
                    part: match rule.value.part {
                        CookiePart::Domain => transform::CookiePart::Domain,
                        CookiePart::Path => transform::CookiePart::Path,
                    },
                    from: rule.value.from.as_str().into(),
                    to: rule.value.to.clone(),
                })
                .collect(),
        }
    }
}

fn rewrite(rule: &Spanned<doorman_config::Rewrite>, faults: &mut Faults) -> Option<Rewrite> {
    let part = match rule.value.part {
        doorman_config::RewritePart::Path => RewritePart::Path,
        doorman_config::RewritePart::Query => RewritePart::Query,
        doorman_config::RewritePart::Host => RewritePart::Host,
    };
    Rewrite::regex(part, &rule.value.from.value, rule.value.to.value.clone())
        .map_err(|error| faults.error(code::EXPRESSION, rule.value.from.span, error.to_string()))
        .ok()
}

fn edits(list: &[Spanned<HeaderEdit>], faults: &mut Faults) -> HeaderEdits {
    let made = list.iter().filter_map(|edit| {
        let made = match &edit.value {
            HeaderEdit::Set { name, value } => transform::HeaderEdit::set(name, value.clone()),
            HeaderEdit::Add { name, value } => transform::HeaderEdit::add(name, value.clone()),
            HeaderEdit::Remove { name } => transform::HeaderEdit::remove(name),
        };
        made.map_err(|error| faults.error(code::EDIT, edit.span, error.to_string())).ok()
    });
    HeaderEdits::new(made.collect())
}

/// The template of an edit that has one.
pub(super) const fn value_of(edit: &HeaderEdit) -> Option<&Template> {
    match edit {
        HeaderEdit::Set { value, .. } | HeaderEdit::Add { value, .. } => Some(value),
        HeaderEdit::Remove { .. } => None,
    }
}

fn location(rewrite: &LocationRewrite) -> transform::LocationRewrite {
    let rules = match rewrite {
        LocationRewrite::Auto => Vec::new(),
        LocationRewrite::Off => {
            return transform::LocationRewrite { rules: Vec::new(), auto: Auto::Off };
        }
        LocationRewrite::Rules(rules) => rules
            .iter()
            .map(|rule| LocationRule {
                from: rule.value.from.as_str().into(),
                to: rule.value.to.clone(),
            })
            .collect(),
    };
    transform::LocationRewrite { rules, auto: Auto::On }
}
