//! Directives of sign-in at an OpenID provider.

use super::Kind::{Any, Choice, Duration, Field, File};
use super::Within::Oidc;
use super::options::OPTIONS_WITHIN;
use super::{Directive, one, some};

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "oidc",
        OPTIONS_WITHIN,
        &[one("ISSUER|off", Any("the https:// URL by which an OpenID provider calls itself, or off"))],
        "Sign users in at an OpenID provider (OpenID Connect Core 1.0, with PKCE), and keep their sessions in an encrypted cookie. A nearer block replaces one of the site or a policy as a whole; off ends it. basic-auth, api-key, jwt and oidc are alternatives: a request passes that satisfies one of those that hold.",
        "oidc https://id.example.com client-id shop client-secret ${secret:oidc}",
    )
    .block(Oidc)
    .default("off"),
    Directive::new("client-id", &[Oidc], &[one("TEXT", Any("the id that the provider gave out"))], "The name under which the provider knows this client.", "client-id shop"),
    Directive::new("client-secret", &[Oidc], &[one("SECRET", Any("the secret that the provider gave out, best loaded by ${secret:NAME} or ${file:PATH}"))], "The secret for that.", "client-secret ${secret:oidc}")
        .default("none: a public client"),
    Directive::new("ca", &[Oidc], &[one("FILE", File)], "Certificates of authorities in PEM, which alone are believed where the provider is asked.", "ca /etc/doorman/internal-ca.pem")
        .default("the authorities of the web"),
    Directive::new("scope", &[Oidc], &[some("SCOPE", Any("a word"))], "What is asked for; openid is always among it. Many providers give what renews a session only if offline_access is, too.", "scope openid email")
        .default("openid profile email"),
    Directive::new("session", &[Oidc], &[one("TIME", Duration)], "How long a user stays signed in, 1m to 30d.", "session 8h")
        .default("8h"),
    Directive::new("cookie", &[Oidc], &[one("NAME", Any("the name of a cookie, which does not begin with __"))], "The cookie of the session. Under TLS it gets the prefix __Host-, so that no other host can set it.", "cookie dm_session")
        .default("dm_session"),
    Directive::new("callback", &[Oidc], &[one("PATH", Any("a path that begins with /"))], "The path to which the provider sends users back. It is to be registered there, and is doorman's own in all of the site.", "callback /oauth2/callback")
        .default("/oauth2/callback"),
    Directive::new("logout", &[Oidc], &[one("PATH", Any("a path that begins with /"))], "The path that signs a user out, here and at the provider; doorman's own in all of the site.", "logout /oauth2/logout")
        .default("/oauth2/logout"),
    Directive::new("unauthenticated", &[Oidc], &[one("WAY", Choice(&["redirect", "allow", "deny"], &[]))], "What becomes of requests of nobody: browsers that want a page are sent to sign in and all else gets 401, or they pass, or they get 401.", "unauthenticated redirect")
        .default("redirect"),
    Directive::new("forward", &[Oidc], &[one("CLAIM", Any("the name of a claim")), one("NAME", Field)], "Tell the upstream a claim of the ID token in a field. What clients send under this name never reaches an upstream.", "forward email X-Auth-Email")
        .often(),
    Directive::new("refresh", &[Oidc], &[one("on|off", Choice(&["on", "off"], &[]))], "Whether sessions are renewed at the provider when their tokens are over, so that they end when it ends them.", "refresh on")
        .default("on"),
];
