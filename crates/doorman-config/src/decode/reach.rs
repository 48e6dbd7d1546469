//! Routes that can never match. Only what is certain is said: a route is unreachable if one route above it takes every
//! request that it would take. A regex above is never held to be certain, and two routes above are not added up.

use super::Decoder;
use crate::{Condition, Diagnostic, PathPattern, Route, Segment, Site, ValueMatch};

/// Routes of one site that are compared with each other. The work grows with the square; at this bound it is some
/// tens of milliseconds.
const COMPARED_MAX: usize = 2_000;

impl Decoder<'_> {
    pub(super) fn check_reach(&mut self, site: &Site) {
        let routes = &site.routes[..site.routes.len().min(COMPARED_MAX)];
        for (at, route) in routes.iter().enumerate() {
            let Some(above) = routes[..at].iter().find(|above| takes_all_of(above, route)) else {
                continue;
            };
            let (line, first) = (self.sources.place(route.span), self.sources.place(above.span));
            let help = if line.path == first.path {
                format!("move line {} above line {}", line.line, first.line)
            } else {
                format!("move it above {first}")
            };
            let same = route.path.value == above.path.value && takes_all_of(route, above);
            let help = if same { "remove one of the two".to_owned() } else { help };
            self.say(
                Diagnostic::error("E0207", route.span, "route can never match")
                    .here("unreachable")
                    .also(
                        above.span,
                        format!("every request that would reach line {} is taken here", line.line),
                    )
                    .help(help)
                    .note("routes are tried from top to bottom; `doorman help E0207`"),
            );
        }
    }
}

fn takes_all_of(above: &Route, below: &Route) -> bool {
    takes_methods(above, below)
        && takes_path(&above.path.value, &below.path.value)
        && above.conditions.iter().all(|condition| {
            below.conditions.iter().any(|other| implies(&other.value, &condition.value))
        })
}

fn takes_methods(above: &Route, below: &Route) -> bool {
    if above.methods.is_empty() {
        return true;
    }
    !below.methods.is_empty()
        && below
            .methods
            .iter()
            .all(|method| above.methods.iter().any(|other| other.value == method.value))
}

/// Whether every path of `below` is one of `above`.
fn takes_path(above: &PathPattern, below: &PathPattern) -> bool {
    if *above == PathPattern::Any {
        return true;
    }
    let (Some((above, above_open)), Some((below, below_open))) = (segments(above), segments(below))
    else {
        return false;
    };
    let covered = above.iter().zip(&below).all(|(above, below)| match (above, below) {
        (Segment::Any, Segment::Text(text)) => !text.is_empty(),
        (Segment::Any, Segment::Any) => true,
        (Segment::Text(above), Segment::Text(below)) => above == below,
        (Segment::Text(_), Segment::Any) => false,
    });
    let length = if above_open {
        above.len() <= below.len()
    } else {
        !below_open && above.len() == below.len()
    };
    covered && length
}

/// A path as segments, and whether any rest may follow. `None` for what can't be seen as such.
fn segments(path: &PathPattern) -> Option<(Vec<Segment>, bool)> {
    let texts = |path: &str| {
        path.split('/').skip(1).map(|text| Segment::Text(text.to_owned())).collect::<Vec<_>>()
    };
    match path {
        PathPattern::Any | PathPattern::Regex(_) => None,
        PathPattern::Exact(path) => Some((texts(path), false)),
        PathPattern::Prefix(prefix) => Some((texts(prefix), true)),
        PathPattern::Wildcard { segments, open } => Some((segments.clone(), *open)),
    }
}

/// Whether the second condition holds wherever the first one does, as far as that is certain.
fn implies(first: &Condition, second: &Condition) -> bool {
    match (first, second) {
        (Condition::Method(first), Condition::Method(second)) => {
            first.iter().all(|method| second.contains(method))
        }
        (Condition::Protocol(first), Condition::Protocol(second)) => {
            first.iter().all(|protocol| second.contains(protocol))
        }
        (Condition::Client(first), Condition::Client(second)) => {
            first.iter().all(|range| second.iter().any(|wider| wider.contains(range)))
        }
        (
            Condition::Header { name: first, .. },
            Condition::Header { name: second, value: ValueMatch::Present },
        )
        | (
            Condition::Query { name: first, .. },
            Condition::Query { name: second, value: ValueMatch::Present },
        )
        | (
            Condition::Cookie { name: first, .. },
            Condition::Cookie { name: second, value: ValueMatch::Present },
        ) => first == second,
        (first, second) => first == second && is_certain(first),
    }
}

fn is_certain(condition: &Condition) -> bool {
    match condition {
        Condition::Header { value, .. }
        | Condition::Query { value, .. }
        | Condition::Cookie { value, .. } => !matches!(value, ValueMatch::Regex(_)),
        Condition::Not(inner) => is_certain(inner),
        _ => true,
    }
}
