//! Sign-in at an OpenID provider.

use std::path::PathBuf;
use std::time::Duration;

use super::{ClaimForward, Secret};
use crate::{Setting, Span, Spanned};

/// What becomes of requests of nobody who is signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unauthenticated {
    /// Pages are sent to sign in; everything else gets 401.
    Redirect,
    /// They pass, as nobody's.
    Allow,
    /// They get 401.
    Deny,
}

/// An `oidc` block.
#[derive(Clone, Debug)]
pub struct Oidc {
    /// Who signs users in, as it calls itself: an https:// URL, or an http:// one of this machine. What it says of
    /// itself is below `/.well-known/openid-configuration`.
    pub issuer: Spanned<String>,
    /// The name under which it knows this client.
    pub client_id: Spanned<String>,
    /// The secret for that; `None`: a public client, which has PKCE alone.
    pub client_secret: Option<Spanned<Secret>>,
    /// Certificates of the authorities that alone are believed where it is asked; `None`: those of the web.
    pub ca: Option<Spanned<PathBuf>>,
    /// What is asked for; `openid` among it.
    pub scopes: Setting<Vec<String>>,
    /// How long a user stays signed in; 8 h.
    pub session: Setting<Duration>,
    /// The cookie of the session.
    pub cookie: Setting<String>,
    /// The path to which the provider sends users back.
    pub callback: Setting<String>,
    /// The path that signs a user out.
    pub logout: Setting<String>,
    /// What becomes of requests of nobody.
    pub unauthenticated: Setting<Unauthenticated>,
    /// What the upstream is told.
    pub forward: Vec<Spanned<ClaimForward>>,
    /// Whether sessions are kept fresh at the provider.
    pub refresh: Setting<bool>,
    /// The line.
    pub span: Span,
}
