//! What the operator says about caching, compiled: the policy reads it and never changes it.

/// The rules of one route's cache. Times are whole seconds, at most 2^31.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheRules {
    /// Freshness for responses that state none. A rule that names the status goes before one that
    /// names none; of several the first counts.
    pub ttls: Box<[TtlRule]>,
    /// Freshness in place of what responses with a status that is cacheable by default state, counted
    /// from when they come. It lifts no prohibition: `private`, `no-store`, `no-cache`, `Set-Cookie`
    /// and `Authorization` mean what they mean without it.
    pub force: Option<u32>,
    /// How long after its lifetime a response may be served while it is fetched anew, unless it says
    /// so itself or forbids it.
    pub stale: Option<u32>,
    /// How long after its lifetime a response may be served when its origin fails, unless it says so
    /// itself or forbids it.
    pub stale_if_error: Option<u32>,
    /// Names of the targeted fields (RFC 9213), the one that counts most first.
    pub targeted: Box<[Box<[u8]>]>,
    /// Whether `Cache-Control` and `Pragma` of requests are honoured.
    pub client_control: bool,
    /// What becomes of responses with `Set-Cookie`.
    pub set_cookie: SetCookie,
    /// What becomes of requests with `Cookie`.
    pub cookies: Cookies,
    /// The most seconds of freshness that may be guessed from `Last-Modified` (RFC 9111 section
    /// 4.2.2).
    pub heuristic_max: u32,
    /// Bytes of the largest body that is stored.
    pub max_object: u64,
}

impl Default for CacheRules {
    /// Nothing but what responses say themselves; a guess is good for a day at most.
    fn default() -> Self {
        Self {
            ttls: Box::default(),
            force: None,
            stale: None,
            stale_if_error: None,
            targeted: Box::default(),
            client_control: true,
            set_cookie: SetCookie::Refuse,
            cookies: Cookies::Careful,
            heuristic_max: 86_400,
            max_object: u64::MAX,
        }
    }
}

/// Freshness by status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TtlRule {
    /// Seconds of freshness.
    pub seconds: u32,
    /// The statuses that the rule is about; those that are heuristically cacheable (RFC 9110 section
    /// 15.1), successes and permanent redirects alone, if none is named. A rule that names a status
    /// is also the operator's word that such responses may be stored at all.
    pub statuses: Box<[u16]>,
}

/// What becomes of responses with `Set-Cookie`, which are as a rule about one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetCookie {
    /// They are not stored.
    #[default]
    Refuse,
    /// They are stored without the field.
    Strip,
}

/// What becomes of requests with `Cookie`, whose answers may be about one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cookies {
    /// They use and fill only objects whose response consents to being shared: `public`, `s-maxage`
    /// or a targeted field.
    #[default]
    Careful,
    /// Cookies play no part: the caller takes them off what is fetched.
    Ignore,
}

impl CacheRules {
    /// The operator's freshness for a status, if a rule names it.
    pub(crate) fn named(&self, status: u16) -> Option<u32> {
        let rule = self.ttls.iter().find(|rule| rule.statuses.contains(&status))?;
        Some(rule.seconds)
    }

    /// The operator's freshness for statuses that no rule names.
    pub(crate) fn unnamed(&self) -> Option<u32> {
        self.ttls.iter().find(|rule| rule.statuses.is_empty()).map(|rule| rule.seconds)
    }
}
