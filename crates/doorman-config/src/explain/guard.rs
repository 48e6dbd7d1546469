//! Codes of what guards a route.

use super::Explanation;

pub(super) const CODES: &[Explanation] = &[
    Explanation::new(
        "E0251",
        "words about who may come that do not fit",
        "`allow` names all who may come, and `deny` takes a part of them away; the lists of a policy, of the site and of the route must all let a client pass, so that a route cannot open what its site has closed. A list that lets nobody in is a slip: to close a route, answer with `respond 403`. Countries are two letters of ISO 3166-1, and they need a database, which `geo` in `global` names.",
        "site http://a.test { allow 10.0.0.0/8; route /x { allow 192.168.0.0/16; proxy 3000 }; proxy 3000 }",
        "site http://a.test { allow 10.0.0.0/8; route /x { allow 10.1.0.0/16; proxy 3000 }; proxy 3000 }",
    ),
    Explanation::new(
        "E0252",
        "words about bounds that do not fit",
        "A rate is a number of requests in a second (/s), a minute (/m), an hour (/h) or a day (/d); a rate of bytes is a size in a second. A rate of zero would be a closed door that looks like an open one. `all` counts all requests together, so no other part of a key can stand beside it. Only requests that wait need a time for it.",
        "site http://a.test { limit 0/s; proxy 3000 }",
        "site http://a.test { limit 10/m burst 5 per client-ip; proxy 3000 }",
    ),
];
