//! Splits that stick: which of a route's upstreams a client goes to, always the same one.

use doorman_balance::Share;
use doorman_config::{Config, Ending, Route, StickyShare};
use doorman_http::KeyHash;
use doorman_http::template::{Part, Placeholder, Template};

use super::compile::Faults;
use super::{Ground, PlanCookie};

/// A split that sticks.
pub(crate) struct PlanShare {
    pub(crate) by: ShareBy,
    /// In the order of the route's targets.
    pub(crate) shares: Box<[Share]>,
}

/// By what a client is known.
pub(crate) enum ShareBy {
    /// By a number that it was given in a cookie.
    Cookie(PlanCookie),
    /// By something of its requests.
    Key(PlanKey),
}

/// What of a request is its key.
#[derive(Clone, Debug)]
pub(crate) enum PlanKey {
    /// The client's address; of IPv6 the network, since one client has many addresses in it.
    ClientIp,
    /// This text.
    Text(Template),
}

impl PlanKey {
    /// `{client-ip}` alone is the client and not its address as text.
    pub(crate) fn new(template: Template) -> Self {
        match template.parts() {
            [Part::Value(Placeholder::ClientIp)] => Self::ClientIp,
            _ => Self::Text(template),
        }
    }
}

impl PlanShare {
    pub(super) fn compile(
        config: &Config,
        ground: &Ground,
        route: &Route,
        faults: &mut Faults,
    ) -> Option<Self> {
        let by = route.options.sticky_share.as_ref()?;
        let Ending::Proxy(targets) = &route.ending.value else { return None };
        let share = |target: &doorman_config::Spanned<doorman_config::Target>| {
            let name = config.upstream(target.value.upstream).map_or("", |u| &u.name.value);
            Share { name: KeyHash::of(0, name.as_bytes()), share: target.value.share }
        };
        Some(Self {
            by: match &by.value {
                StickyShare::Cookie(name) => {
                    ShareBy::Cookie(PlanCookie::of_share(ground.seal_key(by.span, faults)?, name))
                }
                StickyShare::ClientIp => ShareBy::Key(PlanKey::ClientIp),
                StickyShare::Key(template) => ShareBy::Key(PlanKey::new(template.clone())),
            },
            shares: targets.iter().map(share).collect(),
        })
    }
}
