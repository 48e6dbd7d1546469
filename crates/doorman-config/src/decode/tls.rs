//! The `tls` lines of a site.

use std::collections::HashMap;

use super::Decoder;
use crate::item::Item;
use crate::values;
use crate::{
    CertificateFiles, ClientAuth, ClientAuthMode, Diagnostic, EarlyData, Global, HostPattern, Ocsp,
    Protocol, Scheme, Setting, Site, SiteAddress, SiteTls, Span, Spanned, TlsOptions, TlsSource,
    TlsVersion,
};

/// What the `tls` lines of a site ask for, before its addresses are known.
pub(super) struct Wish {
    auto: Option<Span>,
    internal: Option<Span>,
    off: Option<Span>,
    files: Vec<Spanned<CertificateFiles>>,
    /// Lines that were reported: nothing more is said about what they lack.
    reported: bool,
    options: TlsOptions,
    first: Option<Span>,
}

impl Wish {
    pub(super) fn is_off(&self) -> bool {
        self.off.is_some()
    }

    /// Whether the site asks for TLS in so many words.
    pub(super) fn is_on(&self) -> bool {
        self.auto.is_some() || self.internal.is_some() || !self.files.is_empty() || self.reported
    }
}

#[derive(Clone, Copy)]
enum Word {
    Internal,
    Off,
    Cert,
    Auto,
}

impl Decoder<'_> {
    pub(super) fn tls_lines(&mut self, items: &[Item], global: &Global) -> Wish {
        let options = TlsOptions {
            min: Setting::default_of(TlsVersion::V1_2),
            alpn: None,
            policy: global.tls_policy.clone(),
            early_data: Setting::default_of(EarlyData::Off),
            ocsp: Setting::default_of(Ocsp::On),
            client_auth: None,
            on_demand: None,
        };
        let mut wish = Wish {
            auto: None,
            internal: None,
            off: None,
            files: Vec::new(),
            reported: false,
            options,
            first: None,
        };
        for item in items.iter().filter(|item| item.directive.name == "tls") {
            let before = self.diagnostics.count();
            self.tls_line(item, global, &mut wish);
            wish.reported |= self.diagnostics.count() > before || item.damaged;
            if !item.is_off() {
                wish.first = wish.first.or(Some(item.span));
            }
        }
        let files = wish.files.first().map(|files| files.span);
        let sources = [wish.auto, wish.internal, wish.off, files];
        let mut written = sources.into_iter().flatten();
        if let (Some(first), Some(second)) = (written.next(), written.next()) {
            self.say(
                Diagnostic::error("E0223", second, "a site has one source of certificates")
                    .also(first, "another source")
                    .help(
                        "keep `tls auto`, `tls internal`, `tls off` or lines of `tls cert F key F`",
                    ),
            );
        }
        wish
    }

    fn tls_line(&mut self, item: &Item, global: &Global, wish: &mut Wish) {
        let (mut key, mut clients) = (None, None);
        let sources = self.sources;
        for child in &item.children {
            match child.directive.name {
                "key" => self.fill(child, &mut key, |text| values::file(text, sources)),
                "min" => self.set(child, &mut wish.options.min, |text| {
                    let versions = [("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)];
                    values::choice(text, &versions, &[])
                }),
                "on-demand" => {
                    let ask = child.value(0).map(|word| values::choice(word, &[("ask", ())], &[]));
                    if let (Some(ask), Some(url)) = (ask, child.value(1)) {
                        let (ask, url) = (self.ok(ask), self.ok(super::acme::ask_url(url)));
                        if ask.is_some() && !child.is_off() {
                            wish.options.on_demand = url.or(wish.options.on_demand.take());
                        }
                    }
                }
                "alpn" => self.alpn(child, &mut wish.options.alpn),
                "policy" => {
                    let name = child.value(0).and_then(|text| self.ok(values::name(text)));
                    let found = name.and_then(|name| {
                        Some(Setting::written(self.named_tls_policy(&name, global)?, name.span))
                    });
                    if let Some(policy) = found.filter(|_| !child.is_off()) {
                        wish.options.policy = policy;
                    }
                }
                "early-data" => self.set(child, &mut wish.options.early_data, |text| {
                    let modes = [("off", EarlyData::Off), ("safe", EarlyData::Safe)];
                    values::choice(text, &modes, &[])
                }),
                "ocsp" => self.set(child, &mut wish.options.ocsp, |text| {
                    values::choice(text, &[("on", Ocsp::On), ("off", Ocsp::Off)], &[])
                }),
                "client-auth" => {
                    // A second one in the same block was reported.
                    let mut asked = None;
                    self.client_auth(child, &mut asked);
                    clients = clients.or(asked);
                }
                _ => {}
            }
        }
        self.one_client_auth(clients, &mut wish.options.client_auth);
        let word = match item.value(0) {
            None => None,
            Some(text) => {
                let words = [
                    ("internal", Word::Internal),
                    ("off", Word::Off),
                    ("cert", Word::Cert),
                    ("auto", Word::Auto),
                ];
                let Some(word) = self.ok(values::choice(text, &words, &[])) else {
                    return;
                };
                Some(word.value)
            }
        };
        let file = match (word, item.value(1)) {
            (Some(Word::Cert), Some(text)) => self.ok(values::file(text, sources)),
            (_, Some(extra)) => {
                let message = format!("`{}` does not belong here", extra.shown());
                let error = Diagnostic::error("E0204", extra.span, message);
                return self.say(
                    error.help("it is written `tls auto|internal|off` or `tls cert FILE key FILE`"),
                );
            }
            (_, None) => None,
        };
        match (word, file, key) {
            (Some(Word::Cert), Some(certificate), Some(key)) if !item.is_off() => {
                wish.files.push(Spanned::new(CertificateFiles { certificate, key }, item.span));
            }
            (Some(Word::Cert), Some(_), Some(_)) => {}
            (Some(Word::Cert), _, _) | (None, _, Some(_)) => {
                if !item.damaged {
                    let message = "a certificate needs its file and the file of its key";
                    let error = Diagnostic::error("E0223", item.span, message);
                    self.say(error.help("it is written `tls cert FILE key FILE`"));
                }
            }
            (Some(Word::Internal | Word::Off | Word::Auto), _, Some(key)) => {
                self.say(Diagnostic::error("E0223", key.span, "`key` belongs to `tls cert FILE`"));
            }
            (Some(Word::Auto), _, None) if !item.is_off() => wish.auto = Some(item.span),
            (Some(Word::Internal), _, None) if !item.is_off() => wish.internal = Some(item.span),
            (Some(Word::Off), _, None) if !item.is_off() => wish.off = Some(item.span),
            (_, _, None) => {}
        }
    }

    fn client_auth(&mut self, item: &Item, slot: &mut Option<Spanned<ClientAuth>>) {
        let (mut ca, mut crl) = (None, None);
        let sources = self.sources;
        for child in &item.children {
            let slot = if child.directive.name == "ca" { &mut ca } else { &mut crl };
            self.fill(child, slot, |text| values::file(text, sources));
        }
        let modes = [("require", ClientAuthMode::Require), ("optional", ClientAuthMode::Optional)];
        let Some(text) = item.value(0) else { return };
        let Some(mode) = self.ok(values::choice(text, &modes, &[])) else { return };
        let Some(ca) = ca else {
            if !item.damaged && !item.is_off() {
                let message = "`client-auth` needs the authorities that it believes";
                let error = Diagnostic::error("E0227", item.span, message);
                self.say(error.help("it is written `client-auth require ca FILE`"));
            }
            return;
        };
        if item.is_off() {
            return;
        }
        *slot = Some(Spanned::new(ClientAuth { mode: mode.value, ca, crl }, item.span));
    }

    fn one_client_auth(
        &mut self,
        line: Option<Spanned<ClientAuth>>,
        slot: &mut Option<Spanned<ClientAuth>>,
    ) {
        if let (Some(first), Some(second)) = (&*slot, &line) {
            let message = "a site has one set of rules for certificates of clients";
            let error = Diagnostic::error("E0227", second.span, message);
            return self.say(error.also(first.span, "the first"));
        }
        *slot = slot.take().or(line);
    }

    /// Certificates of clients are shown by TLS: a site that asks for them is reached by nothing else, and a route
    /// that needs one is in such a site.
    pub(super) fn check_clients(&mut self, site: &Site) {
        let asked = site.tls.as_ref().and_then(|tls| tls.options.client_auth.as_ref());
        let Some(asked) = asked else {
            // A policy that two routes use is reported once for each: each of them is closed.
            let mut closed = site.routes.iter().filter_map(|route| route.options.mtls);
            if let Some(span) = closed.next() {
                let message = format!("`{}` asks no client for a certificate", site.name);
                let error = Diagnostic::error("E0227", span, message);
                self.say(error.help("add `tls { client-auth optional ca FILE }` to the site"));
            }
            return;
        };
        let early = site.tls.as_ref().map(|tls| tls.options.early_data);
        if let Some(early) = early.filter(|early| early.value == EarlyData::Safe) {
            let message = "early data comes before a client has shown its certificate";
            let error = Diagnostic::error("E0227", early.span.unwrap_or(asked.span), message);
            self.say(
                error.also(asked.span, "but one is asked for here").help("leave one of them out"),
            );
        }
        let mut plain = site.addresses.iter().filter(|at| at.value.scheme == Scheme::Http);
        if let Some(plain) = plain.next() {
            let message = "without TLS no client can show a certificate";
            let error = Diagnostic::error("E0227", plain.span, message);
            self.say(
                error
                    .also(asked.span, "but one is asked for here")
                    .help("give http:// addresses a site of their own"),
            );
        }
    }

    /// A client that asks for an address sends no server name (RFC 6066 section 3). So there is one set of rules for
    /// all such clients of a port, and a site for another address that has others answers them with 421.
    pub(super) fn check_nameless(&mut self, sites: &[Site]) {
        let rules = |site: &Site| {
            let asked = site.tls.as_ref()?.options.client_auth.as_ref()?;
            let ClientAuth { mode, ca, crl } = &asked.value;
            Some((*mode, ca.value.clone(), crl.as_ref().map(|crl| crl.value.clone())))
        };
        let mut firsts: HashMap<u16, (&Site, Span)> = HashMap::new();
        for site in sites {
            for at in &site.addresses {
                let is_address = matches!(at.value.host, HostPattern::Ip(_));
                if !is_address || at.value.scheme != Scheme::Https {
                    continue;
                }
                let (first, span) = *firsts.entry(at.value.port).or_insert((site, at.span));
                if rules(first) == rules(site) {
                    continue;
                }
                let message = "clients that ask for an address are asked for certificates by the rules of the first such site of a port; this one has others, so it answers them with 421";
                self.say(
                    Diagnostic::warning("W0306", at.span, message)
                        .also(span, "the first")
                        .help("give both the same `client-auth`, or this one a port of its own"),
                );
            }
        }
    }

    fn alpn(&mut self, item: &Item, slot: &mut Option<Spanned<Vec<Protocol>>>) {
        let known = [("h1", Protocol::H1), ("h2", Protocol::H2), ("h3", Protocol::H3)];
        if let Some(protocols) = self.protocols(item, &known).filter(|_| !item.is_off()) {
            *slot = Some(Spanned::new(protocols, item.span));
        }
    }

    /// `h1 h2`: each once, in the order written.
    pub(super) fn protocols(
        &mut self,
        item: &Item,
        known: &[(&str, Protocol)],
    ) -> Option<Vec<Protocol>> {
        let mut protocols = Vec::new();
        for text in &item.values {
            let protocol = self.ok(values::choice(text, known, &[]))?;
            if protocols.contains(&protocol.value) {
                let message = format!("`{}` stands here twice", text.shown());
                self.say(Diagnostic::error("E0208", text.span, message));
                return None;
            }
            protocols.push(protocol.value);
        }
        Some(protocols)
    }

    /// The TLS of a site whose addresses are known.
    pub(super) fn site_tls(
        &mut self,
        block: &Item,
        addresses: &[Spanned<SiteAddress>],
        wish: Wish,
    ) -> Option<SiteTls> {
        let https = || addresses.iter().filter(|address| address.value.scheme == Scheme::Https);
        if let (Some(off), Some(first)) = (wish.off, https().next()) {
            self.say(
                Diagnostic::error("E0223", off, "`tls off` in a site with an https:// address")
                    .also(first.span, "this address asks for TLS"),
            );
            return None;
        }
        if https().next().is_none() {
            if let (Some(span), None, false) = (wish.first, wish.off, addresses.is_empty()) {
                self.say(
                    Diagnostic::error("E0223", span, "`tls` in a site with http:// addresses only")
                        .help("remove it, or leave http:// out"),
                );
            }
            return None;
        }
        let options = wish.options;
        if let Some(ask) = &options.on_demand {
            let is_open = |address: &Spanned<SiteAddress>| {
                matches!(address.value.host, HostPattern::Any | HostPattern::Wildcard(_))
            };
            if wish.auto.is_none() || !https().any(is_open) {
                let message = "`on-demand` is for `tls auto` in a site for * or for a wildcard";
                let error = Diagnostic::error("E0223", ask.span, message);
                self.say(
                    error.help(
                        "the names of other sites get their certificates without being asked",
                    ),
                );
            }
        }
        if let Some(first) = wish.files.first() {
            let source = Setting::written(TlsSource::Files(wish.files.clone()), first.span);
            return Some(SiteTls { source, options });
        }
        if let Some(span) = wish.internal {
            return Some(SiteTls { source: Setting::written(TlsSource::Internal, span), options });
        }
        let internal = https().all(|address| address.value.host.is_internal());
        if let (None, true) = (wish.auto, internal) {
            return Some(SiteTls { source: Setting::default_of(TlsSource::Internal), options });
        }
        if !wish.reported && !block.is_off() {
            self.check_automatic(addresses, wish.auto.is_some(), options.on_demand.is_some());
        }
        let source = match wish.auto {
            Some(span) => Setting::written(TlsSource::Auto, span),
            None => Setting::default_of(TlsSource::Auto),
        };
        Some(SiteTls { source, options })
    }
}
