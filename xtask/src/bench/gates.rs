//! What the scenarios of gates need beside others: the lines, and the proof that they are in force, because a limit
//! that lets everything pass costs the same whether it is there or not.

use crate::{
    bench::{
        contender::{Contender, Ground},
        scenario::{Scenario, Way},
    },
    failure::{During, Failure},
    wire::{self, Answer, Dialer},
};

/// What stands between a request and its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Nothing, anywhere.
    None,
    /// Nothing; another route has all of these.
    Off,
    /// A limit that nobody reaches.
    Limit,
    /// The same, told in each answer.
    Told,
    /// A ban, two lists, connections, a limit that is told, cross-site requests and careful fields.
    Several,
}

/// Above what the load can do, so that none of it is refused.
const LIMIT: &str = "limit 1000000/s burst 1000000 per client-ip { rate-header off }; ";
const TOLD: &str = "limit 1000000/s burst 1000000 per client-ip; ";
const SEVERAL: &str = "ban 100 within 1m for 1h on not-found limit; deny 192.0.2.0/24 198.51.100.0/24; \
    deny list bad-bots; connections 10000 per client-ip; csrf on; security-headers basic; ";
/// Where the second request is refused.
const PROBE: &str = "/probe/";

impl Gate {
    const fn words(self) -> &'static str {
        match self {
            Self::None | Self::Off => "",
            Self::Limit => LIMIT,
            Self::Told | Self::Several => TOLD,
        }
    }

    const fn has_limit(self) -> bool {
        !matches!(self, Self::None)
    }
}

/// The routes of doorman's site. There are as many with nothing: a route costs what it costs.
pub(super) fn doorman_routes(gate: Gate) -> String {
    let route = |path, words: &str| format!("route {path} {{ {words}proxy origin }}");
    let other = if gate == Gate::Off { [SEVERAL, TOLD].concat() } else { String::new() };
    let probe = if gate.has_limit() { "limit 1/h burst 1 per client-ip; " } else { "" };
    let more = if gate == Gate::Several { SEVERAL } else { "" };
    [
        route("/guarded/*", &other),
        route("/probe/*", probe),
        route("*", &[more, gate.words()].concat()),
    ]
    .join(" ")
}

/// nginx's part of a configuration: zones in `http`, and what stands in its location.
pub(super) fn nginx_limit(gate: Gate) -> [String; 2] {
    if gate != Gate::Limit {
        return Default::default();
    }
    let zones = "    limit_req_zone $binary_remote_addr zone=all:10m rate=1000000r/s;
    limit_req_zone $binary_remote_addr zone=probe:1m rate=1r/m;
    limit_req_status 429;
";
    let line = "limit_req zone=all burst=1000000 nodelay;";
    [zones.to_owned(), line.to_owned()]
}

/// A place of nginx where the second request is refused.
pub(super) fn nginx_probe(gate: Gate, pass: &str) -> String {
    if gate != Gate::Limit {
        return String::new();
    }
    format!("location {PROBE} {{ limit_req zone=probe; {pass} }}")
}

/// The same load without any gates.
pub(super) fn ungated(scenario: &Scenario) -> Scenario {
    Scenario { way: Way::Gated(Gate::None), ..*scenario }
}

/// nginx has a limit of the same kind, and nothing that is like the rest.
pub(super) fn nginx_takes(gate: Gate) -> bool {
    gate == Gate::Limit
}

impl Ground {
    /// An ordinary request is answered, and where a limit is, the second is refused.
    pub(super) fn check_gate(&self, scenario: &Scenario, gate: Gate) -> Result<(), Failure> {
        let dialer = Dialer::new(self.ports.plain)?;
        let ask = |path: &str| wire::ask(&mut dialer.plain()?, &wire::get(path));
        let answer = ask(&scenario.path(0)).during("checking its answer")?;
        let right = Answer { status: 200, body_bytes: scenario.body_bytes };
        if answer != right {
            return Err(Failure::new(format!("it answers {answer:?} and not {right:?}")));
        }
        let probe = [ask(PROBE)?.status, ask(PROBE)?.status];
        let is_right = (probe[0] != 429) && (probe[1] == 429) == gate.has_limit();
        if is_right {
            Ok(())
        } else {
            Err(Failure::new(format!("a limit of one lets {probe:?} pass")))
        }
    }
}

/// What all gates are held against.
pub(super) const BESIDE: [Contender; 2] = [Contender::Doorman, Contender::Plain];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_off_is_there_and_routes_are_as_many() {
        for gate in [Gate::None, Gate::Off, Gate::Limit, Gate::Told, Gate::Several] {
            let text = doorman_routes(gate);
            assert_eq!(text.matches("route ").count(), 3, "{text}");
            let last = text.rsplit("route ").next().unwrap();
            let is_bare = last == "* { proxy origin }";
            assert_eq!(is_bare, matches!(gate, Gate::None | Gate::Off), "{text}");
        }
        assert!(doorman_routes(Gate::Off).contains("security-headers"));
        assert!(!doorman_routes(Gate::None).contains("limit"));
    }
}
