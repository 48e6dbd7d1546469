//! The `tls` lines of a site.

use super::Decoder;
use crate::address::is_internal;
use crate::item::Item;
use crate::values;
use crate::{
    CertificateFiles, Diagnostic, Protocol, Scheme, Setting, SiteAddress, SiteTls, Span, Spanned,
    TlsOptions, TlsSource, TlsVersion,
};

/// What the `tls` lines of a site ask for, before its addresses are known.
pub(super) struct Wish {
    internal: Option<Span>,
    off: Option<Span>,
    files: Vec<Spanned<CertificateFiles>>,
    /// `tls auto`, and lines that were reported: nothing more is said about what they lack.
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
        self.internal.is_some() || !self.files.is_empty() || self.reported
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
    pub(super) fn tls_lines(&mut self, items: &[Item]) -> Wish {
        let options = TlsOptions { min: Setting::default_of(TlsVersion::V1_2), alpn: None };
        let mut wish = Wish {
            internal: None,
            off: None,
            files: Vec::new(),
            reported: false,
            options,
            first: None,
        };
        for item in items.iter().filter(|item| item.directive.name == "tls") {
            let before = self.diagnostics.count();
            self.tls_line(item, &mut wish);
            wish.reported |= self.diagnostics.count() > before || item.damaged;
            if !item.is_off() {
                wish.first = wish.first.or(Some(item.span));
            }
        }
        let sources = [wish.internal, wish.off, wish.files.first().map(|files| files.span)];
        let mut written = sources.into_iter().flatten();
        if let (Some(first), Some(second)) = (written.next(), written.next()) {
            self.say(
                Diagnostic::error("E0223", second, "a site has one source of certificates")
                    .also(first, "another source")
                    .help("keep `tls internal`, `tls off` or lines of `tls cert F key F`"),
            );
        }
        wish
    }

    fn tls_line(&mut self, item: &Item, wish: &mut Wish) {
        let mut key = None;
        let sources = self.sources;
        for child in &item.children {
            match child.directive.name {
                "key" => self.fill(child, &mut key, |text| values::file(text, sources)),
                "min" => self.set(child, &mut wish.options.min, |text| {
                    let versions = [("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)];
                    values::choice(text, &versions, &[])
                }),
                "alpn" => self.alpn(child, &mut wish.options.alpn),
                _ => {}
            }
        }
        let word = match item.value(0) {
            None => None,
            Some(text) => {
                let words = [
                    ("internal", Word::Internal),
                    ("off", Word::Off),
                    ("cert", Word::Cert),
                    ("auto", Word::Auto),
                ];
                let Some(word) = self.ok(values::choice(text, &words, &["on-demand"])) else {
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
                    error.help("it is written `tls internal|off` or `tls cert FILE key FILE`"),
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
            (Some(Word::Auto), _, None) => self.say(automatic(item.span, "`tls auto`")),
            (Some(Word::Internal), _, None) if !item.is_off() => wish.internal = Some(item.span),
            (Some(Word::Off), _, None) if !item.is_off() => wish.off = Some(item.span),
            (_, _, None) => {}
        }
    }

    fn alpn(&mut self, item: &Item, slot: &mut Option<Spanned<Vec<Protocol>>>) {
        if let Some(protocols) = self.protocols(item).filter(|_| !item.is_off()) {
            *slot = Some(Spanned::new(protocols, item.span));
        }
    }

    /// `h1 h2`: each once, in the order written.
    pub(super) fn protocols(&mut self, item: &Item) -> Option<Vec<Protocol>> {
        let known = [("h1", Protocol::H1), ("h2", Protocol::H2)];
        let mut protocols = Vec::new();
        for text in &item.values {
            let protocol = self.ok(values::choice(text, &known, &["h3", "h2c"]))?;
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
        if let Some(first) = wish.files.first() {
            let source = Setting::written(TlsSource::Files(wish.files.clone()), first.span);
            return Some(SiteTls { source, options });
        }
        if let Some(span) = wish.internal {
            return Some(SiteTls { source: Setting::written(TlsSource::Internal, span), options });
        }
        if !wish.reported && !block.is_off() {
            for address in https().filter(|address| !is_internal(&address.value.host)) {
                self.say(automatic(address.span, &format!("`{}`", address.value.written)));
            }
        }
        Some(SiteTls { source: Setting::default_of(TlsSource::Internal), options })
    }
}

/// Automatic certificates are not there yet.
fn automatic(span: Span, what: &str) -> Diagnostic {
    let message = format!(
        "{what} asks for an automatic certificate, which comes with a later version of doorman"
    );
    Diagnostic::error("E0217", span, message)
        .help("until then write `tls internal`, `tls cert FILE key FILE`, or an http:// address")
}
