//! What an `upstream` block tells a FastCGI application.

use super::Decoder;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{Diagnostic, FastCgi, Scheme, Spanned, Upstream, UpstreamProtocol};

/// Variables of one upstream: far more than an application reads, and bounded, since they go with
/// every request.
const PARAMS_MAX: usize = 256;

/// What only makes sense with `protocol fastcgi`.
const OWN: [&str; 4] = ["root", "index", "split-path", "param"];

/// Variables that say where a body ends, or that applications take for their own settings.
const KEPT: [&str; 2] = ["CONTENT_LENGTH", "HTTP_PROXY"];

impl Decoder<'_> {
    pub(super) fn fastcgi(&mut self, item: &Item, fastcgi: &mut FastCgi) {
        match item.directive.name {
            "root" => self.fill(item, &mut fastcgi.root, root),
            "index" => self.fill(item, &mut fastcgi.index, index),
            "split-path" => self.fill(item, &mut fastcgi.split_path, suffix),
            "param" => self.param(item, fastcgi),
            _ => {}
        }
    }

    fn param(&mut self, item: &Item, fastcgi: &mut FastCgi) {
        let (Some(name), Some(value)) = (item.value(0), item.value(1)) else { return };
        let (name, value) = (self.ok(variable(name)), self.ok(values::head_value(value)));
        let (Some(name), Some(value)) = (name, value) else { return };
        if item.is_off() {
            return;
        }
        let same = fastcgi.params.iter().find(|other| other.value.0 == name.value);
        if let Some(first) = same {
            let message = format!("a second `param {}`", name.value);
            let error = Diagnostic::error("E0208", item.span, message);
            return self.say(error.also(first.span, "the first"));
        }
        if fastcgi.params.len() == PARAMS_MAX {
            let message = format!("more than {PARAMS_MAX} `param` lines in one upstream");
            return self.say(Diagnostic::error("E0110", item.span, message));
        }
        fastcgi.params.push(Spanned::new((name.value, value.value), item.span));
    }

    pub(super) fn check_fastcgi(&mut self, block: &Item, upstream: &Upstream) {
        if upstream.protocol.value != UpstreamProtocol::FastCgi {
            let mut own = block.children.iter().filter(|item| !item.is_off());
            if let Some(item) = own.find(|item| OWN.contains(&item.directive.name)) {
                let name = item.directive.name;
                let message = format!("`{name}` for an upstream that does not speak FastCGI");
                self.say(
                    Diagnostic::error("E0225", item.span, message)
                        .help("add `protocol fastcgi`, or remove the line"),
                );
            }
            return;
        }
        let secure =
            upstream.servers.iter().find(|server| server.address.value.scheme == Scheme::Https);
        if let Some(server) = secure {
            let message = "FastCGI knows no TLS";
            self.say(
                Diagnostic::error("E0225", server.address.span, message)
                    .help("write the address without https://"),
            );
        }
        let FastCgi { index, split_path, .. } = &upstream.fastcgi;
        if let (Some(index), Some(suffix)) = (index, split_path)
            && !index.value.ends_with(&suffix.value)
        {
            let message =
                format!("`index {}` is no script of `split-path {}`", index.value, suffix.value);
            self.say(
                Diagnostic::error("E0225", index.span, message)
                    .also(suffix.span, "the suffix of scripts"),
            );
        }
    }
}

/// The application may run in a root of its own, so this is no path of a file here.
fn root(text: &Text) -> Value<String> {
    let trimmed = text.text.trim_end_matches('/');
    let good = trimmed.starts_with('/') && !trimmed.chars().any(char::is_control);
    let climbs = trimmed.split('/').any(|segment| matches!(segment, "." | ".."));
    if good && !climbs {
        return Ok(Spanned::new(trimmed.to_owned(), text.span));
    }
    let message = format!("`{}` is not a folder of scripts", text.shown());
    Err(Diagnostic::error("E0314", text.span, message)
        .help("write it as the application sees it, from /, such as /var/www/app"))
}

fn index(text: &Text) -> Value<String> {
    let name = &text.text;
    let bad = name.is_empty() || matches!(name.as_str(), "." | "..");
    if bad || name.contains('/') || name.chars().any(char::is_control) {
        let message = format!("`{}` is not a file's name", text.shown());
        return Err(Diagnostic::error("E0314", text.span, message)
            .help("write a name without folders, such as index.php"));
    }
    Ok(Spanned::new(name.clone(), text.span))
}

fn suffix(text: &Text) -> Value<String> {
    let letters = text.text.strip_prefix('.').unwrap_or_default();
    if letters.is_empty() || !letters.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let message = format!("`{}` is not a suffix of scripts", text.shown());
        return Err(Diagnostic::error("E0314", text.span, message)
            .help("write a dot and letters, such as .php"));
    }
    Ok(Spanned::new(text.text.clone(), text.span))
}

fn variable(text: &Text) -> Value<String> {
    const NAME_BYTES_MAX: usize = 128;
    let name = &text.text;
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let good = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(inner)
        && !name.starts_with(|first: char| first.is_ascii_digit());
    if !good {
        let message = format!("`{}` is not the name of a variable", text.shown());
        return Err(Diagnostic::error("E0313", text.span, message)
            .help("a name has letters, digits and underscores, such as APP_ENV"));
    }
    if KEPT.contains(&name.as_str()) {
        let message = format!("`{name}` is not to be set");
        return Err(Diagnostic::error("E0225", text.span, message).help(
            "CONTENT_LENGTH frames the body; HTTP_PROXY would make applications send their own requests through a proxy",
        ));
    }
    Ok(Spanned::new(name.clone(), text.span))
}
