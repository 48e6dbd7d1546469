//! Directives that ask who somebody is.

use super::Kind::{Any, Choice, Duration, Field, File};
use super::Within::{ApiKey, BasicAuth, Jwt};
use super::options::OPTIONS_WITHIN;
use super::{Directive, Kind, one, optional, some};

const SWITCH: Kind = Choice(&["on", "off"], &[]);

const OFF: &[super::Argument] = &[optional("off", Choice(&["off"], &[]))];

const CLAIM: Kind = Any("the name of a claim");

/// Algorithms of tokens.
pub(crate) const ALGORITHMS: &[&str] =
    &["ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA", "HS256"];

/// Algorithms that are settled and come later.
pub(crate) const ALGORITHMS_LATER: &[&str] = &["HS384", "HS512"];

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "basic-auth",
        OPTIONS_WITHIN,
        OFF,
        "Ask for a name and a password (RFC 7617). A nearer block replaces one of the site or a policy as a whole; off ends it. basic-auth, api-key, jwt and oidc are alternatives: a request passes that satisfies one of those that hold.",
        "basic-auth file /etc/doorman/users realm Office",
    )
    .block(BasicAuth)
    .default("off"),
    Directive::new("file", &[BasicAuth, ApiKey], &[some("FILE", File)], "Files with NAME:HASH on each line; `#` begins a comment. A file that changes is read again. What `${...}` loads may be the lines themselves.", "file /etc/doorman/users")
        .often(),
    Directive::new("user", &[BasicAuth], &[one("NAME", Any("a name without a colon")), one("HASH", Any("the hash of the password, as $argon2id$..., $2y$... or $6$..."))], "A user, and the hash of the password.", "user alice $2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy")
        .often(),
    Directive::new("realm", &[BasicAuth], &[one("TEXT", Any("printable ASCII without quotes"))], "What browsers show when they ask.", "realm Office")
        .default("restricted"),
    Directive::new("forward", &[BasicAuth, ApiKey], &[one("NAME|off", Any("the name of a field, or off"))], "The field that tells the upstream who it is. What clients send under this name never reaches an upstream.", "forward X-Auth-User")
        .default("X-Auth-User"),
    Directive::new(
        "api-key",
        OPTIONS_WITHIN,
        OFF,
        "Ask for a key. A nearer block replaces one of the site or a policy as a whole; off ends it. basic-auth, api-key, jwt and oidc are alternatives: a request passes that satisfies one of those that hold.",
        "api-key header X-Api-Key file /etc/doorman/keys",
    )
    .block(ApiKey)
    .default("off"),
    Directive::new("header", &[ApiKey], &[one("NAME", Field), optional("SCHEME", Any("the word in front of the key, such as Bearer"))], "A field in which the key is looked for.", "header X-Api-Key")
        .often()
        .default("X-Api-Key"),
    Directive::new("query", &[ApiKey], &[one("NAME", Any("the name of a parameter"))], "A parameter of the query in which the key is looked for. Addresses are logged in many places, so a field is better.", "query key")
        .often(),
    Directive::new("key", &[ApiKey], &[one("NAME", Any("a name without a colon")), one("HASH", Any("sha256: and 64 hexadecimal digits"))], "A key by its hash, and whose it is.", "key ci sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")
        .often(),
    Directive::new(
        "jwt",
        OPTIONS_WITHIN,
        OFF,
        "Ask for a signed token (RFC 7519). A nearer block replaces one of the site or a policy as a whole; off ends it. basic-auth, api-key, jwt and oidc are alternatives: a request passes that satisfies one of those that hold.",
        "jwt jwks https://id.example.com/jwks.json issuer https://id.example.com audience shop",
    )
    .block(Jwt)
    .default("off"),
    Directive::new("jwks", &[Jwt], &[one("URL|FILE", Any("an https:// URL, or a file"))], "The public keys that tokens are checked with, a JWKS (RFC 7517): fetched over TLS (or http:// from this machine), or a file, which is read again when it changes. Fetched keys are used until others come, for a day at most.", "jwks https://id.example.com/jwks.json"),
    Directive::new("secret", &[Jwt], &[one("SECRET", Any("at least 32 bytes, best loaded by ${secret:NAME} or ${file:PATH}"))], "The secret that tokens are checked with, for the algorithm HS256.", "secret ${secret:jwt}"),
    Directive::new("issuer", &[Jwt], &[one("TEXT", Any("what `iss` must be"))], "Who must have issued a token.", "issuer https://id.example.com")
        .default("anybody who has the key"),
    Directive::new("audience", &[Jwt], &[some("TEXT", Any("what `aud` must name"))], "For whom a token must be: one of these.", "audience shop")
        .often()
        .default("anybody"),
    Directive::new("algorithms", &[Jwt], &[some("ALGORITHM", Choice(ALGORITHMS, ALGORITHMS_LATER))], "How tokens may be signed (RFC 7518 section 3.1). `none` is never good.", "algorithms ES256 RS256")
        .default("with `jwks` ES256 ES384 RS256 RS384 RS512 PS256 PS384 PS512 EdDSA, with `secret` HS256"),
    Directive::new("header", &[Jwt], &[one("NAME", Field), optional("SCHEME", Any("the word in front of the token, such as Bearer"))], "A field in which the token is looked for.", "header Authorization Bearer")
        .often()
        .default("Authorization Bearer"),
    Directive::new("cookie", &[Jwt], &[one("NAME", Any("the name of a cookie"))], "A cookie in which the token is looked for.", "cookie token")
        .often(),
    Directive::new("claim", &[Jwt], &[one("NAME", CLAIM), some("VALUE", Any("a value"))], "A claim that must have one of these values; of a claim that is a list, one must be among them.", "claim role admin editor")
        .often(),
    Directive::new("forward", &[Jwt], &[one("CLAIM", CLAIM), one("NAME", Field)], "Tell the upstream a claim in a field. What clients send under this name never reaches an upstream.", "forward email X-Auth-Email")
        .often(),
    Directive::new("leeway", &[Jwt], &[one("TIME", Duration)], "How far clocks may differ, up to 5m.", "leeway 30s")
        .default("30s"),
    Directive::new("refresh", &[Jwt], &[one("TIME", Duration)], "How often keys of a URL are fetched, 1m to 7d. `Cache-Control` of the answer may make it oftener, and so may a token that names an unknown key, at most every 30s.", "refresh 1h")
        .default("1h"),
    Directive::new("ca", &[Jwt], &[one("FILE", File)], "Certificates of authorities in PEM, which alone are believed where keys are fetched.", "ca /etc/doorman/internal-ca.pem")
        .default("the authorities of the web"),
    Directive::new("strip", &[Jwt], &[one("on|off", SWITCH)], "Whether the upstream does not see the token.", "strip on")
        .default("off"),
];
