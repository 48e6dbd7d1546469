//! Directives that ask who somebody is.

use super::Kind::{Any, Choice, Duration, Field, File};
use super::Within::{ApiKey, BasicAuth, ForwardAuth, Jwt, Oidc};
use super::options::OPTIONS_WITHIN;
use super::{Directive, Kind, one, optional, some};

const SWITCH: Kind = Choice(&["on", "off"], &[]);

const OFF: &[super::Argument] = &[optional("off", Choice(&["off"], &[]))];

const CLAIM: Kind = Any("the name of a claim");

/// Algorithms of tokens.
pub(crate) const ALGORITHMS: &[&str] = &[
    "ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA", "HS256",
    "HS384", "HS512",
];

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
    Directive::new("jwks", &[Jwt], &[one("URL|FILE", Any("an http:// or https:// URL, or a file with a JWKS or public keys in PEM"))], "The public keys that tokens are checked with (RFC 7517).", "jwks https://id.example.com/jwks.json"),
    Directive::new("secret", &[Jwt], &[one("SECRET", Any("at least 32 bytes, best loaded by ${secret:NAME} or ${file:PATH}"))], "The secret that tokens are checked with, for the algorithms HS256, HS384 and HS512.", "secret ${secret:jwt}"),
    Directive::new("issuer", &[Jwt], &[one("TEXT", Any("what `iss` must be"))], "Who must have issued a token.", "issuer https://id.example.com")
        .default("anybody who has the key"),
    Directive::new("audience", &[Jwt], &[some("TEXT", Any("what `aud` must name"))], "For whom a token must be: one of these.", "audience shop")
        .often()
        .default("anybody"),
    Directive::new("algorithms", &[Jwt], &[some("ALGORITHM", Choice(ALGORITHMS, &[]))], "How tokens may be signed (RFC 7518 section 3.1). `none` is never good.", "algorithms ES256 RS256")
        .default("with `jwks` ES256 ES384 RS256 RS384 RS512 PS256 PS384 PS512 EdDSA, with `secret` HS256"),
    Directive::new("header", &[Jwt], &[one("NAME", Field), optional("SCHEME", Any("the word in front of the token, such as Bearer"))], "A field in which the token is looked for.", "header Authorization Bearer")
        .often()
        .default("Authorization Bearer"),
    Directive::new("cookie", &[Jwt], &[one("NAME", Any("the name of a cookie"))], "A cookie in which the token is looked for.", "cookie token")
        .often(),
    Directive::new("claim", &[Jwt], &[one("NAME", CLAIM), some("VALUE", Any("a value"))], "A claim that must have one of these values; of a claim that is a list, one must be among them.", "claim role admin editor")
        .often(),
    Directive::new("forward", &[Jwt, Oidc], &[one("CLAIM", CLAIM), one("NAME", Field)], "Tell the upstream a claim in a field. What clients send under this name never reaches an upstream.", "forward email X-Auth-Email")
        .often(),
    Directive::new("leeway", &[Jwt], &[one("TIME", Duration)], "How far clocks may differ, up to 5m.", "leeway 30s")
        .default("30s"),
    Directive::new("refresh", &[Jwt], &[one("TIME", Duration)], "How often keys are fetched, 1m to 7d; a token with an unknown key has them fetched at once, at most every 30s.", "refresh 1h")
        .default("1h"),
    Directive::new("strip", &[Jwt], &[one("on|off", SWITCH)], "Whether the upstream does not see the token.", "strip on")
        .default("off"),
    Directive::new(
        "oidc",
        OPTIONS_WITHIN,
        &[one("ISSUER|off", Any("the https:// URL of an OpenID provider, or off"))],
        "Sign users in at an OpenID provider, with PKCE, and keep them in an encrypted cookie. A nearer block replaces one of the site or a policy as a whole; off ends it. basic-auth, api-key, jwt and oidc are alternatives: a request passes that satisfies one of those that hold.",
        "oidc https://id.example.com client-id shop client-secret ${secret:oidc}",
    )
    .block(Oidc)
    .default("off"),
    Directive::new("client-id", &[Oidc], &[one("TEXT", Any("the id that the provider gave out"))], "The name under which the provider knows this client.", "client-id shop"),
    Directive::new("client-secret", &[Oidc], &[one("SECRET", Any("the secret that the provider gave out, best loaded by ${secret:NAME} or ${file:PATH}"))], "The secret for that.", "client-secret ${secret:oidc}")
        .default("none: a public client"),
    Directive::new("scope", &[Oidc], &[some("SCOPE", Any("a word"))], "What is asked for; openid is always among it.", "scope openid email")
        .default("openid profile email"),
    Directive::new("session", &[Oidc], &[one("TIME", Duration)], "How long a user stays signed in, 1m to 30d.", "session 8h")
        .default("8h"),
    Directive::new("cookie", &[Oidc], &[one("NAME", Any("the name of a cookie"))], "The cookie of the session.", "cookie dm_session")
        .default("dm_session"),
    Directive::new("callback", &[Oidc], &[one("PATH", Any("a path that begins with /"))], "The path to which the provider sends users back; it is to be registered there.", "callback /oauth2/callback")
        .default("/oauth2/callback"),
    Directive::new("logout", &[Oidc], &[one("PATH", Any("a path that begins with /"))], "The path that signs a user out, here and at the provider.", "logout /oauth2/logout")
        .default("/oauth2/logout"),
    Directive::new("unauthenticated", &[Oidc], &[one("WAY", Choice(&["redirect", "allow", "deny"], &[]))], "What becomes of requests of nobody: pages are sent to sign in and all else gets 401, or they pass, or they get 401.", "unauthenticated redirect")
        .default("redirect"),
    Directive::new("refresh", &[Oidc], &[one("on|off", SWITCH)], "Whether sessions are kept fresh at the provider, so that they end when it ends them.", "refresh on")
        .default("on"),
    Directive::new(
        "forward-auth",
        OPTIONS_WITHIN,
        &[one("URL|off", Any("an http:// or https:// URL, or off"))],
        "Ask another server about each request, without its body: with 2xx it goes on, any other answer is the client's. It is asked in any case, beside what basic-auth, api-key, jwt and oidc say. A nearer block replaces one of the site or a policy as a whole; off ends it.",
        "forward-auth http://127.0.0.1:9091/verify response-header Remote-User Remote-Groups",
    )
    .block(ForwardAuth)
    .default("off"),
    Directive::new("request-header", &[ForwardAuth], &[some("NAME", Field)], "The only fields of the request that it sees, beside X-Forwarded-Method, -Proto, -Host, -Uri and -For.", "request-header Cookie Authorization")
        .often()
        .default("all"),
    Directive::new("response-header", &[ForwardAuth], &[some("NAME", Field)], "Fields of its answer that the upstream sees. What clients send under these names never reaches an upstream.", "response-header Remote-User")
        .often()
        .default("none"),
    Directive::new("method", &[ForwardAuth], &[one("GET|same", Choice(&["GET", "same"], &[]))], "The method it is asked with: GET, or that of the request.", "method same")
        .default("GET"),
    Directive::new("timeout", &[ForwardAuth], &[one("TIME", Duration)], "How long it may take before the request is answered 503, up to 1m.", "timeout 5s")
        .default("5s"),
];
