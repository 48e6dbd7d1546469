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
    Explanation::new(
        "E0253",
        "words about identity that do not fit",
        "A block that knows nobody would lock everybody out. Passwords and keys never stand in a configuration, only their hashes. Tokens are checked with public keys or with a secret, never with both, and `none` is no signature: otherwise who has the public key, or nothing at all, could write tokens. A secret of fewer bytes than its hash has can be guessed (RFC 7518 section 3.2). An OpenID provider is asked over TLS, since whoever answers in its place can sign in as anybody, and its two paths and its cookie belong to one `oidc` block of a site.",
        "site https://a.test { tls internal; jwt jwks keys.json issuer a audience b algorithms HS256; proxy 3000 }",
        "site https://a.test { tls internal; jwt jwks keys.json issuer a audience b algorithms ES256; proxy 3000 }",
    ),
    Explanation::new(
        "E0254",
        "words about pages of other sites that do not fit",
        "An origin is scheme, host and port of a page, as its address shows them, without a path. `credentials on` with the origin * would let every page act in the name of users who visit it; browsers refuse it, too. The origin null can be had by everybody.",
        "site http://a.test { cors * credentials on; proxy 3000 }",
        "site http://a.test { cors https://app.example.com credentials on; proxy 3000 }",
    ),
    Explanation::new(
        "E0255",
        "words about bans that do not fit",
        "A ban needs a number of signs, the time in which they come, how long a client is then kept out, and what counts as a sign.",
        "site http://a.test { ban 10 on not-found; proxy 3000 }",
        "site http://a.test { ban 10 within 1m for 1h on not-found; proxy 3000 }",
    ),
    Explanation::new(
        "E0257",
        "an `overload` that looks at nothing",
        "It looks at the time that requests wait for their core, at the memory that the process takes, or at both. With both off nothing is ever refused.",
        "global { overload delay off memory off }\nsite http://a.test { respond 200 }",
        "global { overload delay 50ms memory off }\nsite http://a.test { respond 200 }",
    ),
    Explanation::new(
        "E0258",
        "not the name of a user or a group",
        "A user and a group are named as the system has them in /etc/passwd and /etc/group, or by number.",
        "global { user -x }\nsite http://a.test { respond 200 }",
        "global { user doorman group doorman }\nsite http://a.test { respond 200 }",
    ),
];

pub(super) const WARNINGS: &[Explanation] = &[
    Explanation::new(
        "W0321",
        "a secret in the configuration",
        "Configurations are copied, committed and mailed, and many may read them. What `${secret:NAME}` and `${file:PATH}` load stands elsewhere, with its own permissions, and is never shown.",
        "site https://a.test { tls internal; jwt secret 0123456789abcdef0123456789abcdef issuer a audience b; proxy 3000 }",
        "site https://a.test { tls internal; jwt secret ${secret:jwt} issuer a audience b; proxy 3000 }",
    ),
    Explanation::new(
        "W0323",
        "a token for others passes here",
        "One provider signs for many services. Without `audience` a token that was given out for another one lets in here, and without `issuer` one of any provider that has the key (RFC 8725 sections 3.8 and 3.9).",
        "site https://a.test { tls internal; jwt jwks keys.json; proxy 3000 }",
        "site https://a.test { tls internal; jwt jwks keys.json issuer https://id.test audience shop; proxy 3000 }",
    ),
    Explanation::new(
        "W0324",
        "a bound by users where nobody signs in",
        "A request of nobody has no name to count by, so all of them share one count, and the first client to use it up stops all others. Users are known by basic-auth, api-key, jwt, oidc, `user` of forward-auth and certificates of clients, claims by jwt and oidc.",
        "site http://a.test { limit 10/s per user; proxy 3000 }",
        "site http://a.test { limit 10/s per client-ip; proxy 3000 }",
    ),
    Explanation::new(
        "W0325",
        "secrets of users without TLS",
        "Passwords, keys and the cookies of sessions are sent with each request, and everybody on the way can read them. Where another proxy in front of doorman ends TLS, name it in `trusted-proxies`.",
        "site http://a.test { basic-auth file users; proxy 3000 }",
        "site https://a.test { tls internal; basic-auth file users; proxy 3000 }",
    ),
    Explanation::new(
        "W0326",
        "forward-auth asks itself",
        "The request that asks comes to a route that asks the same server again, and so on until one of them runs out of time.",
        "site http://a.test { forward-auth http://a.test/verify; proxy 3000 }",
        "site http://a.test { forward-auth http://a.test/verify; route /verify { forward-auth off; proxy 9091 }; proxy 3000 }",
    ),
    Explanation::new(
        "W0327",
        "a sign that nothing ever gives",
        "A ban counts what other words of the route refuse: `auth-failure` needs one about identity, `waf-block` a `waf`, `limit` a bound, `challenge-failure` a `challenge`. What the upstream refuses itself is counted by its status.",
        "site http://a.test { ban 10 within 1m for 1h on auth-failure; proxy 3000 }",
        "site http://a.test { ban 10 within 1m for 1h on 401 403; proxy 3000 }",
    ),
    Explanation::new(
        "W0328",
        "the admin API's token is sent in the clear",
        "The admin API speaks plain HTTP. On an address that others reach, its token and all that it shows can be read by whoever is on the way, and used from then on.",
        "global { admin 0.0.0.0:9000 token-file /etc/doorman/token }\nsite http://a.test { proxy 3000 }",
        "global { admin 127.0.0.1:9000 token-file /etc/doorman/token }\nsite http://a.test { proxy 3000 }",
    ),
];
