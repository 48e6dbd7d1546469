//! One order, from the account to the certificate on disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use doorman_net::Clock;
use doorman_net::tls::{Certificate, CertificateName, PemFile, Proof, Proofs, Roots};
use instant_acme::{
    Account, AccountCredentials, AuthorizationHandle, AuthorizationStatus, CertificateIdentifier,
    ChallengeHandle, ChallengeType, Error, ExternalAccountKey, Identifier, NewAccount, NewOrder,
    Order, OrderStatus, Problem, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, RsaKeySize};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::agenda::Failure;
use super::client::{Https, listening};
use super::dns::Record;
use super::store::{Origin, Pending, Store, Stored};
use super::times::Window;
use super::{Challenge, Issuer, KeyChoice};

/// How an order is looked at until the authority has made up its mind.
const POLL: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(100))
    .backoff(1.7)
    .timeout(Duration::from_secs(120));

/// How often a request is signed again because its nonce was taken for a bad one (RFC 8555 section 6.5), on top of the
/// library's own attempts.
const NONCES: usize = 4;

/// Characters of the authority's words that are kept.
const WORDS_MAX: usize = 1000;

/// An authority, and our account there.
pub(super) struct Desk {
    pub(super) issuer: Issuer,
    email: Option<String>,
    https: Https,
    store: Store,
    account: Mutex<Option<Account>>,
}

/// An account on disk.
#[derive(Serialize, Deserialize)]
struct Kept {
    directory: String,
    email: Option<String>,
    /// The id of the account that it is bound to.
    external: Option<String>,
    credentials: AccountCredentials,
}

/// What an order is about.
pub(super) struct Task {
    pub(super) name: CertificateName,
    pub(super) store: Store,
    pub(super) proofs: Arc<Proofs>,
    pub(super) clock: Clock,
    /// The certificate that it replaces, if the same authority issued it.
    pub(super) replaces: Option<Arc<Certificate>>,
    /// Whether a client asked for the name.
    pub(super) on_demand: bool,
}

/// Why there is no certificate.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) failure: Failure,
    pub(super) words: String,
}

/// A failure, before it is known what the authority said about when to come again.
enum Stop {
    Acme(Error),
    /// The authority's own words about a name that it could not see to be ours.
    Unproved(String),
    /// Something here, not there.
    Ours(String),
    /// The authority's answer makes no sense.
    Nonsense(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Acme(error)
    }
}

/// Orders a certificate and keeps it.
pub(super) async fn obtain(desk: &Desk, task: &Task) -> Result<Stored, Refusal> {
    let (result, heard) = listening(async {
        let result = order(desk, task).await;
        if let Err(Stop::Acme(Error::Api(problem))) = &result
            && kind(problem) == "accountDoesNotExist"
        {
            // The authority has lost its memory, or the account was deleted: another one will do.
            desk.forget_account().await;
            return order(desk, task).await;
        }
        result
    })
    .await;
    result.map_err(|stop| stop.judge(heard))
}

async fn order(desk: &Desk, task: &Task) -> Result<Stored, Stop> {
    let account = desk.account().await?;
    if let Some(found) = resume(desk, &account, task).await? {
        return Ok(found);
    }
    if matches!(task.name, CertificateName::Wildcard(_)) && desk.issuer.dns.is_none() {
        return Err(Stop::Unproved(
            "a wildcard is proved by DNS alone: `dns` is missing".to_owned(),
        ));
    }
    let mut order = new_order(desk, &account, task).await?;
    let mut placed = Placed::default();
    let proved = match prove(desk, task, &mut order, &mut placed).await {
        Ok(()) => is_proved(&mut order).await,
        Err(stop) => Err(stop),
    };
    placed.take_back(desk, task).await;
    proved?;
    let key = new_key(desk.issuer.key).await?;
    let pending = Pending {
        issuer: desk.issuer.directory.clone(),
        url: order.url().to_owned(),
        key: key.serialize_pem(),
    };
    // From here on the authority may issue: whatever happens, the certificate can still be fetched.
    task.store.set_pending(&task.name, &pending).map_err(ours)?;
    finish(desk, task, &mut order, &key).await
}

/// Goes on with an order that a crash or an outage has cut off.
async fn resume(desk: &Desk, account: &Account, task: &Task) -> Result<Option<Stored>, Stop> {
    let Some(pending) = task.store.pending(&task.name) else { return Ok(None) };
    let key = KeyPair::from_pem(&pending.key);
    let (Ok(key), true) = (key, pending.issuer == desk.issuer.directory) else {
        return Ok(None);
    };
    let mut order = match account.order(pending.url).await {
        Ok(order) => order,
        // The authority knows of no such order any more.
        Err(Error::Api(_)) => {
            task.store.forget_pending(&task.name);
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    match order.state().status {
        OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid => {
            finish(desk, task, &mut order, &key).await.map(Some)
        }
        OrderStatus::Pending | OrderStatus::Invalid => {
            task.store.forget_pending(&task.name);
            Ok(None)
        }
    }
}

async fn new_order(desk: &Desk, account: &Account, task: &Task) -> Result<Order, Stop> {
    let identifiers = [match &task.name {
        // RFC 8738 section 3.
        CertificateName::Address(address) => Identifier::Ip(*address),
        name => Identifier::Dns(name.to_string()),
    }];
    let plain = || {
        let order = NewOrder::new(&identifiers);
        match &desk.issuer.profile {
            Some(profile) => order.profile(profile),
            None => order,
        }
    };
    let leaf = task.replaces.as_ref().and_then(|old| old.certified().cert.first());
    let old = leaf.and_then(|leaf| CertificateIdentifier::try_from(leaf).ok());
    if let Some(old) = old {
        match account.new_order(&plain().replaces(old)).await {
            Ok(order) => return Ok(order),
            Err(Error::Api(problem)) if kind(&problem) == "rateLimited" => {
                return Err(Error::Api(problem).into());
            }
            // Without renewal information, or when the old one was replaced before (RFC 9773 section 5), an order
            // that does not name it is as good.
            Err(error) => tracing::debug!("{}: {}", task.name, words_of(&error)),
        }
    }
    let mut attempts = 0;
    loop {
        match account.new_order(&plain()).await {
            Err(Error::Api(problem)) if is_nonce(&problem) && attempts < NONCES => attempts += 1,
            other => return Ok(other?),
        }
    }
}

/// What shows that a name is ours, while an authority looks.
#[derive(Default)]
struct Placed {
    proofs: Vec<Proof>,
    records: Vec<Record>,
}

impl Placed {
    async fn place(
        &mut self,
        desk: &Desk,
        task: &Task,
        challenge: &ChallengeHandle<'_>,
    ) -> Result<(), Stop> {
        let host = match challenge.identifier().identifier {
            Identifier::Dns(host) => host.clone(),
            Identifier::Ip(address) => address.to_string(),
            other => return Err(Stop::Nonsense(format!("the authority asks about {other:?}"))),
        };
        let host = host.as_str();
        let answer = challenge.key_authorization();
        match (&challenge.r#type, &desk.issuer.dns) {
            (ChallengeType::Http01, _) => {
                let proof = task.proofs.answer_http(host, &challenge.token, answer.as_str());
                self.proofs.push(proof);
            }
            (ChallengeType::Dns01, Some(dns)) => {
                let record = dns.add(task.clock, host, answer.dns_value()).await;
                self.records.push(record.map_err(Stop::Ours)?);
            }
            _ => {
                let digest = answer.digest();
                let clock = Arc::new(task.clock);
                let proof = task.proofs.answer_tls(host, digest.as_ref(), clock);
                self.proofs.push(proof.map_err(Stop::Ours)?);
            }
        }
        Ok(())
    }

    async fn take_back(self, desk: &Desk, task: &Task) {
        let Some(dns) = &desk.issuer.dns else { return };
        for record in self.records {
            dns.remove(task.clock, record).await;
        }
    }
}

/// Answers a challenge of each authorization that is still open.
async fn prove(
    desk: &Desk,
    task: &Task,
    order: &mut Order,
    placed: &mut Placed,
) -> Result<(), Stop> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            other => return Err(Stop::Unproved(format!("the authorization is {other:?}"))),
        }
        let mut challenge = choose(desk, &mut authorization)?;
        placed.place(desk, task, &challenge).await?;
        let mut attempts = 0;
        loop {
            match challenge.set_ready().await {
                Err(Error::Api(problem)) if is_nonce(&problem) && attempts < NONCES => {
                    attempts += 1;
                }
                other => break other?,
            }
        }
    }
    Ok(())
}

/// The challenge that we like best of those that the authority offers.
fn choose<'a>(
    desk: &Desk,
    authorization: &'a mut AuthorizationHandle<'a>,
) -> Result<ChallengeHandle<'a>, Stop> {
    let offered = |kind: &ChallengeType| authorization.challenges.iter().any(|c| c.r#type == *kind);
    let dns = [Challenge::Dns];
    let wanted: &[Challenge] = if authorization.wildcard { &dns } else { &desk.issuer.challenges };
    let wanted = wanted.iter().map(|challenge| match challenge {
        Challenge::Http => ChallengeType::Http01,
        Challenge::TlsAlpn => ChallengeType::TlsAlpn01,
        Challenge::Dns => ChallengeType::Dns01,
    });
    let kind = wanted.into_iter().find(offered);
    let none = || {
        let text = "the authority offers none of the challenges that `challenge` allows";
        Stop::Unproved(text.to_owned())
    };
    authorization.challenge(kind.ok_or_else(none)?).ok_or_else(none)
}

async fn is_proved(order: &mut Order) -> Result<(), Stop> {
    match ready(order).await {
        Ok(OrderStatus::Ready | OrderStatus::Valid) => Ok(()),
        other => Err(unproved(order, other.err()).await),
    }
}

async fn ready(order: &mut Order) -> Result<OrderStatus, Error> {
    let mut attempts = 0;
    loop {
        match order.poll_ready(&POLL).await {
            Err(Error::Api(problem)) if is_nonce(&problem) && attempts < NONCES => attempts += 1,
            other => return other,
        }
    }
}

/// Why an order is not ready: what the authority says about its challenges, which is more than it says about the order.
async fn unproved(order: &mut Order, error: Option<Error>) -> Stop {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        let problems = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = problems.into_iter().next() {
            return Stop::Unproved(words(problem));
        }
    }
    match error {
        Some(error) => error.into(),
        None => Stop::Unproved("the authority could not see that the name is ours".to_owned()),
    }
}

/// Sends the request for the certificate, fetches it, looks at it, and keeps it.
async fn finish(
    desk: &Desk,
    task: &Task,
    order: &mut Order,
    key: &KeyPair,
) -> Result<Stored, Stop> {
    let mut attempts = 0;
    while order.state().status == OrderStatus::Ready {
        match order.finalize_csr(&request(&task.name, key)?).await {
            Err(Error::Api(problem)) if is_nonce(&problem) && attempts < NONCES => attempts += 1,
            other => {
                other?;
                break;
            }
        }
    }
    let chain = loop {
        match order.poll_certificate(&POLL).await {
            Err(Error::Api(problem)) if is_nonce(&problem) && attempts < NONCES => attempts += 1,
            Err(Error::Api(problem)) => {
                // The authority has decided: this order will never bring a certificate.
                task.store.forget_pending(&task.name);
                return Err(Error::Api(problem).into());
            }
            other => break other?,
        }
    };
    let pem = format!("{}\n{}", chain.trim_end(), key.serialize_pem());
    let certificate = judge(task, &pem).map_err(|why| {
        task.store.forget_pending(&task.name);
        Stop::Nonsense(format!("the certificate cannot be used: {why}"))
    })?;
    let origin = Origin {
        issuer: desk.issuer.directory.clone(),
        on_demand: task.on_demand,
        obtained: task.clock.now().unix_seconds(),
    };
    task.store.keep(&task.name, &pem, &origin).map_err(ours)?;
    task.store.forget_pending(&task.name);
    Ok(Stored { certificate: Arc::new(certificate), origin })
}

/// What an authority sends is looked at before it replaces what works.
fn judge(task: &Task, pem: &str) -> Result<Certificate, String> {
    let file = PemFile { path: Path::new("the answer"), bytes: pem.as_bytes() };
    let certificate = Certificate::from_pem(file, file).map_err(|error| error.to_string())?;
    let facts = certificate.facts();
    if !facts.names.iter().any(|own| own.covers(&task.name)) {
        return Err(format!("it is not valid for {}", task.name));
    }
    if task.clock.now().unix_seconds() > facts.not_after {
        return Err("its life is over already".to_owned());
    }
    Ok(certificate)
}

fn request(name: &CertificateName, key: &KeyPair) -> Result<Vec<u8>, Stop> {
    let failed = |error: rcgen::Error| Stop::Ours(error.to_string());
    let mut params = CertificateParams::new(vec![name.to_string()]).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(key).map_err(failed)?;
    Ok(request.der().to_vec())
}

async fn new_key(choice: KeyChoice) -> Result<KeyPair, Stop> {
    // A key of RSA takes up to seconds, in which other orders go on.
    let made = tokio::task::spawn_blocking(move || match choice {
        KeyChoice::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        KeyChoice::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        KeyChoice::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
        KeyChoice::Rsa4096 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_4096),
    });
    let made = made.await.map_err(|error| Stop::Ours(error.to_string()))?;
    made.map_err(|error| Stop::Ours(error.to_string()))
}

impl Desk {
    /// Reads what the authority's server is trusted by.
    pub(super) fn new(
        issuer: Issuer,
        email: Option<String>,
        store: Store,
        clock: Clock,
    ) -> Result<Self, String> {
        let roots = match &issuer.ca {
            Some(path) => Roots::load(path).map_err(|error| error.to_string())?,
            None => Roots::Public,
        };
        let https = Https::new(roots, clock)?;
        Ok(Self { issuer, email, https, store, account: Mutex::default() })
    }

    /// The account: at hand, from disk, or a new one.
    async fn account(&self) -> Result<Account, Stop> {
        let mut held = self.account.lock().await;
        if let Some(account) = &*held {
            return Ok(account.clone());
        }
        let external = self.issuer.external_account.as_ref().map(|(id, _)| id.clone());
        let kept: Option<Kept> = self.store.account(&self.issuer.directory);
        let kept = kept
            .filter(|kept| kept.directory == self.issuer.directory && kept.external == external);
        let builder = Account::builder_with_http(Box::new(self.https.clone()));
        let account = match kept {
            Some(kept) => {
                let account = builder.from_credentials(kept.credentials).await?;
                if kept.email != self.email {
                    self.tell_email(&account).await;
                }
                account
            }
            None => self.create_account(external).await?,
        };
        Ok(held.insert(account).clone())
    }

    fn contact(&self) -> Vec<String> {
        self.email.iter().map(|email| format!("mailto:{email}")).collect()
    }

    async fn create_account(&self, external: Option<String>) -> Result<Account, Stop> {
        let contact = self.contact();
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let new = NewAccount {
            contact: &contact,
            // Whoever writes down the authority, or leaves the default, has agreed: docs/certificates.md says so.
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let binding = self.issuer.external_account.as_ref();
        let binding = binding.map(|(id, key)| ExternalAccountKey::new(id.clone(), key));
        let mut attempts = 0;
        let (account, credentials) = loop {
            let builder = Account::builder_with_http(Box::new(self.https.clone()));
            let directory = self.issuer.directory.clone();
            match builder.create(&new, directory, binding.as_ref()).await {
                Err(Error::Api(problem)) if is_nonce(&problem) && attempts < NONCES => {
                    attempts += 1;
                }
                other => break other?,
            }
        };
        let kept = Kept {
            directory: self.issuer.directory.clone(),
            email: self.email.clone(),
            external,
            credentials,
        };
        self.store.keep_account(&self.issuer.directory, &kept).map_err(ours)?;
        tracing::info!("there is an account at {} now: {}", self.issuer.directory, account.id());
        Ok(account)
    }

    /// An address for mail that changed is worth a word, but no failure.
    async fn tell_email(&self, account: &Account) {
        let contact = self.contact();
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        if let Err(error) = account.update_contacts(&contact).await {
            let words = words_of(&error);
            tracing::warn!(
                "{} does not take the new e-mail address: {words}",
                self.issuer.directory
            );
            return;
        }
        let mut kept: Option<Kept> = self.store.account(&self.issuer.directory);
        if let Some(kept) = &mut kept {
            kept.email.clone_from(&self.email);
            let _ = self.store.keep_account(&self.issuer.directory, kept);
        }
    }

    async fn forget_account(&self) {
        *self.account.lock().await = None;
        self.store.forget_account(&self.issuer.directory);
    }

    /// When the authority would like a certificate to be renewed, and in how many seconds to ask again. `None`: it
    /// does not say.
    pub(super) async fn window(
        &self,
        certificate: &Certificate,
    ) -> Result<Option<(Window, u64)>, String> {
        let leaf = certificate.certified().cert.first().ok_or("no certificate")?;
        let id = CertificateIdentifier::try_from(leaf)?;
        let account = self.account().await.map_err(|stop| stop.judge(None).words)?;
        match account.renewal_info(&id).await {
            Ok((info, again)) => {
                let second = |unix: i64| u64::try_from(unix).unwrap_or(0);
                let window = Window {
                    start: second(info.suggested_window.start.unix_timestamp()),
                    end: second(info.suggested_window.end.unix_timestamp()),
                };
                Ok(Some((window, again.as_secs())))
            }
            Err(Error::Unsupported(_)) => Ok(None),
            Err(error) => Err(words_of(&error)),
        }
    }
}

impl Stop {
    fn judge(self, retry_after: Option<u64>) -> Refusal {
        let issuer = Failure::Issuer { retry_after };
        let name = Failure::Name { retry_after };
        let (failure, words) = match self {
            Self::Acme(Error::Api(problem)) => {
                let failure = match kind(&problem) {
                    "rateLimited" => Failure::Limited { retry_after },
                    "badNonce"
                    | "serverInternal"
                    | "accountDoesNotExist"
                    | "invalidContact"
                    | "unsupportedContact"
                    | "externalAccountRequired"
                    | "userActionRequired"
                    | "badSignatureAlgorithm"
                    | "badPublicKey"
                    | "invalidProfile" => issuer,
                    _ if problem.status.is_some_and(|status| status >= 500) => issuer,
                    _ => name,
                };
                (failure, words(&problem))
            }
            Self::Acme(error @ Error::Timeout(_)) => (name, words_of(&error)),
            Self::Acme(error) => (issuer, words_of(&error)),
            Self::Unproved(words) => (name, words),
            // A full disk is mended sooner than a name, but it must not be asked about every moment either.
            Self::Ours(words) => (Failure::Name { retry_after: None }, words),
            Self::Nonsense(words) => (issuer, words),
        };
        Refusal { failure, words: words.chars().take(WORDS_MAX).collect() }
    }
}

fn ours(error: std::io::Error) -> Stop {
    Stop::Ours(format!("it cannot be kept on disk: {error}"))
}

/// The last part of a problem's type (RFC 8555 section 6.7).
fn kind(problem: &Problem) -> &str {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or(kind)
}

fn is_nonce(problem: &Problem) -> bool {
    kind(problem) == "badNonce"
}

/// A problem in the authority's own words.
fn words(problem: &Problem) -> String {
    let one = |detail: Option<&str>, kind: &str| match (detail, kind) {
        (Some(detail), "") => detail.to_owned(),
        (Some(detail), kind) => format!("{detail} ({kind})"),
        (None, "") => "no reason was given".to_owned(),
        (None, kind) => kind.to_owned(),
    };
    let mut text = one(problem.detail.as_deref(), kind(problem));
    for part in &problem.subproblems {
        text.push_str("; ");
        text.push_str(part.detail.as_deref().or(part.r#type.as_deref()).unwrap_or("?"));
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn words_of(error: &Error) -> String {
    match error {
        Error::Api(problem) => words(problem),
        Error::Json(error) => format!("the answer is not what ACME says: {error}"),
        error => error.to_string(),
    }
}
