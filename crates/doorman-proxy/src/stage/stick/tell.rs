//! What would become of a request's tie, in words, for `explain`.

use doorman_balance::ServerId;
use doorman_http::{Instant, RequestHead};

use super::{Said, bind};
use crate::exchange::Exchange;
use crate::plan::{By, Place, PlanServer, PlanSticky};
use crate::stage::cookies;

/// The words. Sessions that were learned are known to the running process alone.
pub(crate) fn tell(sticky: &PlanSticky, servers: &[PlanServer], exchange: &Exchange) -> String {
    let unix = exchange.started().unix_seconds();
    let name = |server: ServerId| servers.get(server.index()).map_or("", |server| &*server.name);
    // Looking takes cookies off.
    let mut head = RequestHead::clone(&exchange.head);
    let has = match &sticky.by {
        By::Cookie(numbered) => cookies::look(&numbered.cookie, &head.fields, unix).is_some(),
        By::AppCookie { name, beside, .. } => {
            head.cookie(name.as_bytes()).is_some()
                || cookies::look(&beside.cookie, &head.fields, unix).is_some()
        }
        By::Value { place, .. } => place.of_request(&head).is_some(),
        By::Learned(learning) => learning.lookup.of_request(&head).is_some(),
    };
    let said = bind(sticky, servers, &mut head, Instant::default(), unix).said;
    match (&sticky.by, has, said) {
        (By::Cookie(numbered), false, _) => {
            format!("no cookie {}: a server is chosen, and the cookie set", numbered.cookie.name)
        }
        (By::Cookie(numbered), true, Said::Nothing) => {
            format!("cookie {} is not ours, or too old: it is set anew", numbered.cookie.name)
        }
        (By::Cookie(numbered), _, Said::Gone) => {
            format!("cookie {} is of a server that is gone: it is set anew", numbered.cookie.name)
        }
        (By::Cookie(numbered), _, Said::Server(server)) => {
            format!("cookie {} is of {}, which is asked first", numbered.cookie.name, name(server))
        }
        (By::AppCookie { name: cookie, .. }, _, Said::Server(server)) => {
            format!("the session of cookie {cookie} is of {}, which is asked first", name(server))
        }
        (By::AppCookie { name: cookie, .. }, ..) => {
            format!("no server is known by cookie {cookie}: one is chosen")
        }
        (By::Value { place, .. }, _, Said::Server(server)) => {
            format!("{} is of {}, which is asked first", words(place), name(server))
        }
        (By::Value { place, .. }, ..) => format!("no {}: a server is chosen", words(place)),
        (By::Learned(learning), false, _) => {
            format!("no {}: a server is chosen", words(&learning.lookup))
        }
        (By::Learned(learning), ..) => {
            format!("the server that named this {} is asked first", words(&learning.lookup))
        }
    }
}

fn words(place: &Place) -> String {
    match place {
        Place::Cookie(name) => format!("cookie {name}"),
        Place::Header(name) => format!("header {name}"),
        Place::Query(name) => format!("parameter {name}"),
    }
}
