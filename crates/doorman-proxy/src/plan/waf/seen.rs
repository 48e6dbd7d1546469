//! Sets of rules as people see them: how large, where they are used, and what each rule has cost.

use doorman_waf::rule::{Part, Template};
use doorman_waf::{Cost, Extent};

use crate::plan::Plan;

/// A set of rules of a plan.
#[derive(Debug)]
pub struct RuleSetSeen {
    /// What it is called.
    pub name: String,
    /// Its rules.
    pub rules: usize,
    /// Those that a request may come to; what is not among them is proven to do nothing.
    pub active: usize,
    /// Those of them that are asked only about values that hold something of what they look for.
    pub gated: usize,
    /// Pieces of text that are looked for in one pass over a value.
    pub literals: usize,
    /// Bytes that finding them takes.
    pub memory: usize,
    /// The routes whose requests it inspects.
    pub routes: Vec<InspectedRoute>,
}

/// A route whose requests are inspected.
#[derive(Debug)]
pub struct InspectedRoute {
    /// Its site.
    pub site: String,
    /// Its name.
    pub route: String,
    /// Paranoia of the rules that count, and of those that are run.
    pub levels: (u8, u8),
    /// `block` or `detect`.
    pub mode: &'static str,
    /// Whether bodies of answers are looked at.
    pub response: bool,
    /// What rules do not look at, as it was written.
    pub exclusions: Vec<String>,
}

/// A rule, and what it has cost since its set is in force.
#[derive(Debug)]
pub struct RuleSeen {
    /// Its number.
    pub rule: u32,
    /// Its phase, 1 to 5.
    pub phase: u8,
    /// What it says, with an ellipsis for each macro.
    pub msg: String,
    /// The level that it belongs to, if it says so.
    pub level: Option<u8>,
    /// File and line.
    pub place: String,
    /// Whether a match is told; others only prepare something.
    pub is_told: bool,
    /// Values that it was asked about.
    pub asked: u64,
    /// Bytes of these values.
    pub bytes: u64,
    /// Requests that it matched.
    pub hits: u64,
}

impl Plan {
    /// The sets of rules that routes are inspected by.
    #[must_use]
    pub fn rule_sets(&self) -> Vec<RuleSetSeen> {
        let set = |(index, set): (usize, &std::sync::Arc<super::PlanRules>)| {
            let Extent { rules, kept, gated, literals, memory } = set.engine.extent();
            let routes = self.inspected_routes(index);
            RuleSetSeen {
                name: set.name.clone(),
                rules,
                active: kept,
                gated,
                literals,
                memory,
                routes,
            }
        };
        self.rule_sets.iter().enumerate().map(set).collect()
    }

    fn inspected_routes(&self, index: usize) -> Vec<InspectedRoute> {
        let sites = self.sites.iter();
        let routes = sites.flat_map(|site| site.routes.iter().map(move |route| (site, route)));
        let inspected = routes.filter_map(|(site, route)| {
            let waf = route.waf.as_ref().filter(|waf| waf.index == index)?;
            Some(InspectedRoute {
                site: site.name.to_string(),
                route: route.name.to_string(),
                levels: (waf.level, waf.detect_level),
                mode: waf.mode,
                response: waf.response,
                exclusions: waf.exclusions.clone(),
            })
        });
        inspected.collect()
    }

    /// What each rule of each set has cost, by the set's name.
    #[must_use]
    pub fn rule_costs(&self) -> Vec<(String, Vec<RuleSeen>)> {
        let costs = |set: &std::sync::Arc<super::PlanRules>| {
            (set.name.clone(), set.engine.costs().iter().map(rule).collect())
        };
        self.rule_sets.iter().map(costs).collect()
    }
}

fn rule(cost: &Cost) -> RuleSeen {
    let Cost { rule, asked, bytes, hits } = cost;
    RuleSeen {
        rule: rule.id,
        phase: rule.phase.number(),
        msg: rule.msg.as_ref().map(written).unwrap_or_default(),
        level: rule.tags.iter().find_map(|tag| level_of(tag)),
        place: rule.place.to_string(),
        is_told: rule.log,
        asked: *asked,
        bytes: *bytes,
        hits: *hits,
    }
}

/// The level that a tag tells of, as in `paranoia-level/2`.
#[must_use]
pub fn level_of(tag: &str) -> Option<u8> {
    tag.strip_prefix("paranoia-level/")?.parse().ok()
}

/// A text with an ellipsis for each macro.
fn written(template: &Template) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => String::from_utf8_lossy(text).into_owned(),
        Part::Value { .. } | Part::Rule(_) => "...".to_owned(),
    };
    template.parts.iter().map(part).collect()
}
