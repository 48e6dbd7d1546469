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
];
