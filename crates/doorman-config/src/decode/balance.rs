//! `balance`, and the words of `server` that say when and how much a server takes part.

use super::Decoder;
use crate::address;
use crate::item::{Item, Text};
use crate::values;
use crate::{Balance, BalanceOptions, Diagnostic, Server, ServerRole, Setting, Spanned, Upstream};

impl Decoder<'_> {
    pub(super) fn balance(&mut self, item: &Item, upstream: &mut Upstream) {
        self.set(item, &mut upstream.balance, method);
        if item.is_off() {
            return;
        }
        let balance = upstream.balance.value;
        let mut options = BalanceOptions::default();
        for text in item.values.iter().skip(1) {
            if text.text == "mitigate" && options.mitigate {
                self.unfit(text, "`mitigate` stands twice", "one is enough");
            } else if text.text == "mitigate" {
                options.mitigate = true;
            } else if balance.wants_key() && options.key.is_none() {
                options.key = self.ok(values::template(text));
            } else {
                let message = format!("`{}` takes no key", balance.word());
                self.unfit(text, &message, "a key is written with `hash` or `maglev`");
            }
        }
        let uses_key = balance.wants_key() || balance == Balance::ClientIp;
        if balance.wants_key() && options.key.is_none() && item.values.len() == 1 {
            let text = &item.values[0];
            let message = format!("`{}` misses its key", balance.word());
            self.unfit(text, &message, "write what decides, such as `balance hash \"{path}\"`");
        }
        if uses_key && options.mitigate {
            let text = &item.values[item.values.len() - 1];
            let message = "a method that goes by a key cannot give a server less";
            self.unfit(text, message, "remove `mitigate`, or choose a method that looks at no key");
        }
        upstream.balancing = options;
    }

    fn unfit(&mut self, text: &Text, message: &str, help: &str) {
        self.say(Diagnostic::error("E0241", text.span, message).help(help));
    }

    pub(super) fn server(&mut self, item: &Item) -> Option<Server> {
        let mut server = Wanted::default();
        for child in &item.children {
            self.server_word(child, &mut server);
        }
        let text = item.value(0)?;
        let address = self.ok(address::server(text, self.sources))?;
        let name = server.name.map_or_else(|| text.text.clone(), |name| name.value);
        Some(Server {
            address,
            name,
            weight: server.weight,
            tier: server.tier,
            role: server.role.map_or(ServerRole::Regular, |role| role.value),
            max_connections: server.max_connections,
            max_requests: server.max_requests,
            drain: server.drain,
            zone: server.zone,
        })
    }

    fn server_word(&mut self, child: &Item, server: &mut Wanted) {
        let count = |text: &Text| values::number(text, 1, 10_000_000);
        match child.directive.name {
            "weight" => self.set(child, &mut server.weight, |text| values::number(text, 0, 65_535)),
            "name" => self.fill(child, &mut server.name, values::name),
            "tier" => self.set(child, &mut server.tier, |text| values::number(text, 0, 255)),
            "zone" => self.fill(child, &mut server.zone, values::name),
            "max-connections" => self.fill(child, &mut server.max_connections, count),
            "max-requests" => self.fill(child, &mut server.max_requests, count),
            "drain" => server.drain = !child.is_off(),
            "spare" | "standby" if !child.is_off() => {
                if server.role.is_some() {
                    let message = "a server is a spare or a standby, not both";
                    let help = "a spare stands in for one other, a standby for all of its tier";
                    self.say(Diagnostic::error("E0241", child.span, message).help(help));
                }
                let spare = child.directive.name == "spare";
                let role = if spare { ServerRole::Spare } else { ServerRole::Standby };
                server.role = Some(Spanned::new(role, child.span));
            }
            _ => {}
        }
    }
}

/// What is written of a server besides its address.
struct Wanted {
    weight: Setting<u32>,
    name: Option<Spanned<String>>,
    tier: Setting<u32>,
    role: Option<Spanned<ServerRole>>,
    max_connections: Option<Spanned<u32>>,
    max_requests: Option<Spanned<u32>>,
    drain: bool,
    zone: Option<Spanned<String>>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            weight: Setting::default_of(1),
            name: None,
            tier: Setting::default_of(0),
            role: None,
            max_connections: None,
            max_requests: None,
            drain: false,
            zone: None,
        }
    }
}

fn method(text: &Text) -> values::Value<Balance> {
    let here = Balance::ALL.map(|balance| (balance.word(), balance));
    values::choice(text, &here, &[])
}
