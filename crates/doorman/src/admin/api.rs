//! The calls of the admin API. What changes something is a POST, what only tells is a GET; answers
//! are JSON, faults too.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use doorman_config::render::{self, Colour};
use doorman_config::{Diagnostic, SourceMap};
use doorman_control::acme::Keeper;
use doorman_http::Instant;
use doorman_net::tls::CertificateName;
use doorman_net::{Alarm, Clock};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::cache::Wrong;
use super::guard::{Guard, Refusal};
use super::serve::Caller;
use super::{cache, certs, diff, limits, lock, purge, status, upstreams, waf};
use crate::command::explain::running;
use crate::engine::{Engine, NOBODY, NotSet, Refused, Reloaded};
use crate::metrics::Exporter;

/// What the calls share.
pub(super) struct Shared {
    engine: Arc<Engine>,
    exporter: Arc<Mutex<Exporter>>,
    pub(super) guard: Mutex<Option<Guard>>,
    guesses: Guesses,
}

impl Shared {
    pub(super) fn new(engine: Arc<Engine>, exporter: Arc<Mutex<Exporter>>) -> Self {
        Self { engine, exporter, guard: Mutex::new(None), guesses: Guesses::default() }
    }
}

/// Calls that show parts of the configuration, or what clients asked for.
const SHOWING: [&str; 8] = [
    "/explain",
    "/diff",
    "/cache/ls",
    "/cache/show",
    "/cache/why",
    "/limits",
    "/limits/show",
    "/bans",
];

/// Whether a call is one of these, or shows what rules found.
fn shows(path: &str) -> bool {
    SHOWING.contains(&path) || path.starts_with("/waf/")
}

/// What a call asks for in its query. One that cannot be read is a fault like others.
struct Asking<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asking<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(wrong) => Err(fault(StatusCode::BAD_REQUEST, &wrong.body_text())),
        }
    }
}

/// The API.
pub(super) fn admin(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/reload", post(reload))
        .route("/status", get(report))
        .route("/certs", get(certificates))
        .route("/certs/renew", post(renew))
        .route("/certs/read", post(read))
        .route("/upstreams", get(servers))
        .route("/upstreams/set", post(set))
        .route("/cache", get(stores))
        .route("/cache/ls", get(stored))
        .route("/cache/show", get(known))
        .route("/cache/why", get(known))
        .route("/cache/purge", post(purged))
        .route("/waf/events", get(events))
        .route("/waf/events/{id}", get(event))
        .route("/waf/rules", get(rules))
        .route("/limits", get(limited))
        .route("/limits/show", get(stands))
        .route("/limits/reset", post(given_back))
        .route("/bans", get(banned))
        .route("/bans/lift", post(lifted))
        .route("/explain", get(explain))
        .route("/diff", get(differences))
        .route("/metrics", get(page))
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(Arc::clone(shared), guarded))
        .with_state(Arc::clone(shared))
}

/// The metrics alone, for scrapers that shall not reach the API.
pub(super) fn metrics(shared: &Arc<Shared>) -> Router {
    Router::new().route("/metrics", get(page)).fallback(unknown).with_state(Arc::clone(shared))
}

async fn guarded(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let verdict = match &*lock(&shared.guard) {
        Some(guard) if shows(request.uri().path()) => guard.check_shown(request.headers()),
        Some(guard) => guard.check(request.method(), request.headers()),
        None => Ok(()),
    };
    let Err(refusal) = verdict else { return next.run(request).await };
    if refusal == Refusal::Token && request.headers().contains_key(header::AUTHORIZATION) {
        let caller = request.extensions().get::<ConnectInfo<Caller>>();
        let who = caller.map_or("somebody", |ConnectInfo(caller)| &caller.who);
        shared.guesses.note(who, shared.engine.ground().clock).await;
    }
    fault(refusal.status(), refusal.message())
}

/// Wrong tokens. Each is answered late, so that who guesses has no more than a few tries a second on all the
/// connections that there may be; whoever brings the right one does not wait.
#[derive(Default)]
struct Guesses {
    since_told: AtomicU64,
    told: Mutex<Option<Instant>>,
}

impl Guesses {
    /// How long the answer to a wrong token takes.
    const DELAY: Duration = Duration::from_secs(1);
    /// The log hears of them no more often than this.
    const QUIET: Duration = Duration::from_secs(60);

    async fn note(&self, who: &str, clock: Clock) {
        let now = clock.instant();
        self.since_told.fetch_add(1, Ordering::Relaxed);
        let is_due = {
            let mut told = lock(&self.told);
            let is_due = told.is_none_or(|told| now.since(told) >= Self::QUIET);
            if is_due {
                *told = Some(now);
            }
            is_due
        };
        if is_due {
            let count = self.since_told.swap(0, Ordering::Relaxed);
            tracing::warn!(
                "admin API: a wrong token from {who} ({count} since this was last said)"
            );
        }
        let mut alarm = Alarm::new(clock);
        alarm.set(now + Self::DELAY);
        alarm.wait().await;
    }
}

async fn unknown() -> Response {
    fault(StatusCode::NOT_FOUND, "no such call")
}

async fn report(State(shared): State<Arc<Shared>>) -> Response {
    Json(status::of(&shared.engine)).into_response()
}

async fn certificates(State(shared): State<Arc<Shared>>) -> Response {
    let mut body = json!(certs::of(&shared.engine));
    // What the times in it are to be compared with.
    body["now"] = shared.engine.times().1.unix_seconds().into();
    Json(body).into_response()
}

/// The name of a certificate.
#[derive(serde::Deserialize)]
struct Named {
    name: String,
}

async fn renew(State(shared): State<Arc<Shared>>, Asking(named): Asking<Named>) -> Response {
    tell_keeper(&shared, &named, Keeper::renew)
}

/// Takes a certificate from disk that was put there by `doorman certs import`.
async fn read(State(shared): State<Arc<Shared>>, Asking(named): Asking<Named>) -> Response {
    tell_keeper(&shared, &named, Keeper::read)
}

fn tell_keeper(
    shared: &Shared,
    named: &Named,
    tell: impl FnOnce(&Keeper, &CertificateName) -> bool,
) -> Response {
    let name = CertificateName::parse(&named.name).ok();
    let keeper = shared.engine.keeper();
    let is_kept = name.zip(keeper.as_ref()).is_some_and(|(name, keeper)| tell(keeper, &name));
    if is_kept {
        return (StatusCode::ACCEPTED, Json(json!({ "result": "ok" }))).into_response();
    }
    fault(StatusCode::NOT_FOUND, &format!("`{}` has no automatic certificate", named.name))
}

async fn servers(State(shared): State<Arc<Shared>>) -> Response {
    Json(upstreams::of(&shared.engine)).into_response()
}

async fn set(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Asking(asked): Asking<upstreams::Asked>,
) -> Response {
    let wish = match asked.wish(&caller.who) {
        Ok(wish) => wish,
        Err(why) => return fault(StatusCode::BAD_REQUEST, &why),
    };
    let engine = Arc::clone(&shared.engine);
    // It is put on disk first, which does not belong on the thread that answers.
    let set = move || {
        let set = engine.overrides().set(&engine.plan(), &asked.target, &wish);
        (set, upstreams::of(&engine))
    };
    let Ok((set, now)) = tokio::task::spawn_blocking(set).await else {
        return fault(StatusCode::INTERNAL_SERVER_ERROR, "it failed; see the error log");
    };
    match set {
        Ok(objects) => {
            let changed: Vec<_> = objects.iter().map(ToString::to_string).collect();
            Json(json!({ "result": "ok", "changed": changed, "upstreams": now })).into_response()
        }
        Err(why @ NotSet::Unknown(_)) => fault(StatusCode::NOT_FOUND, &why.to_string()),
        Err(why @ NotSet::Refused(_)) => fault(StatusCode::CONFLICT, &why.to_string()),
        Err(why @ NotSet::Disk(_)) => fault(StatusCode::INSUFFICIENT_STORAGE, &why.to_string()),
    }
}

async fn stores(State(shared): State<Arc<Shared>>) -> Response {
    Json(cache::of(&shared.engine)).into_response()
}

async fn stored(
    State(shared): State<Arc<Shared>>,
    Asking(asked): Asking<cache::Asked>,
) -> Response {
    answered(beside(&shared, move |engine| cache::list(engine, &asked)).await)
}

async fn known(State(shared): State<Arc<Shared>>, Asking(asked): Asking<cache::Asked>) -> Response {
    answered(beside(&shared, move |engine| cache::know(engine, &asked)).await)
}

async fn purged(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Asking(asked): Asking<purge::Asked>,
) -> Response {
    let purge = move |engine: &Engine| {
        let (done, settling) = purge::purge(engine, &asked)?;
        let how = if done.soft { "made stale" } else { "purged" };
        let (objects, bytes) = (done.objects, done.bytes);
        let words = asked.words();
        tracing::info!("{how} by {}: {words}; {objects} objects, {bytes} bytes", caller.who);
        Ok((done, settling))
    };
    match beside(&shared, purge).await {
        Ok((mut done, settling)) => {
            purge::settle(&mut done, settling, shared.engine.ground().clock).await;
            Json(done).into_response()
        }
        Err(refused) => refused,
    }
}

/// Asks stores on a thread of its own: a walk over many responses does not belong on the one that
/// answers.
async fn beside<T: Send + 'static>(
    shared: &Arc<Shared>,
    ask: impl FnOnce(&Engine) -> Result<T, Wrong> + Send + 'static,
) -> Result<T, Response> {
    let engine = Arc::clone(&shared.engine);
    match tokio::task::spawn_blocking(move || ask(&engine)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(Wrong::Usage(why))) => Err(fault(StatusCode::BAD_REQUEST, &why)),
        Ok(Err(Wrong::NoStore(why))) => Err(fault(StatusCode::NOT_FOUND, &why)),
        Err(_) => Err(fault(StatusCode::INTERNAL_SERVER_ERROR, "it failed; see the error log")),
    }
}

fn answered<T: serde::Serialize>(answer: Result<T, Response>) -> Response {
    answer.map_or_else(|refused| refused, |answer| Json(answer).into_response())
}

async fn events(State(shared): State<Arc<Shared>>, Asking(asked): Asking<waf::Asked>) -> Response {
    Json(waf::list(&shared.engine, &asked)).into_response()
}

async fn event(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    match waf::show(&shared.engine, &id) {
        Some(event) => Json(event).into_response(),
        None => {
            fault(StatusCode::NOT_FOUND, "rules found nothing of late in a request with this id")
        }
    }
}

async fn rules(
    State(shared): State<Arc<Shared>>,
    Asking(asked): Asking<waf::AskedRules>,
) -> Response {
    Json(waf::rules(&shared.engine, &asked)).into_response()
}

async fn limited(
    State(shared): State<Arc<Shared>>,
    Asking(asked): Asking<limits::Asked>,
) -> Response {
    let look = move |engine: &Engine| Ok(limits::limits(engine, &asked));
    answered(beside(&shared, look).await)
}

async fn stands(
    State(shared): State<Arc<Shared>>,
    Asking(asked): Asking<limits::Asked>,
) -> Response {
    let look = move |engine: &Engine| limits::standings(engine, &asked).map_err(Wrong::Usage);
    answered(beside(&shared, look).await)
}

async fn given_back(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Asking(asked): Asking<limits::Asked>,
) -> Response {
    let reset = move |engine: &Engine| {
        let count = limits::reset(engine, &asked).map_err(Wrong::Usage)?;
        tracing::info!("levels of {count} limits given back by {}", caller.who);
        Ok(json!({ "reset": count }))
    };
    answered(beside(&shared, reset).await)
}

async fn banned(
    State(shared): State<Arc<Shared>>,
    Asking(asked): Asking<limits::Asked>,
) -> Response {
    let look = move |engine: &Engine| Ok(limits::bans(engine, &asked));
    answered(beside(&shared, look).await)
}

async fn lifted(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Asking(asked): Asking<limits::Asked>,
) -> Response {
    let lift = move |engine: &Engine| {
        let count = limits::lift(engine, &asked).map_err(Wrong::Usage)?;
        tracing::info!("{count} bans lifted by {}", caller.who);
        Ok(json!({ "lifted": count }))
    };
    answered(beside(&shared, lift).await)
}

async fn explain(
    State(shared): State<Arc<Shared>>,
    Asking(asked): Asking<running::Asked>,
) -> Response {
    match running::answer(&shared.engine, &asked) {
        Ok(answer) => Json(answer).into_response(),
        Err(why) => fault(StatusCode::BAD_REQUEST, &why),
    }
}

async fn differences(State(shared): State<Arc<Shared>>) -> Response {
    let engine = Arc::clone(&shared.engine);
    // It reads files.
    match tokio::task::spawn_blocking(move || diff::of(&engine)).await {
        Ok(diff) => Json(diff).into_response(),
        Err(_) => fault(StatusCode::INTERNAL_SERVER_ERROR, "it failed; see the error log"),
    }
}

async fn page(State(shared): State<Arc<Shared>>) -> Response {
    let text = lock(&shared.exporter).export(&shared.engine);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn reload(State(shared): State<Arc<Shared>>) -> Response {
    let engine = Arc::clone(&shared.engine);
    // Files, keys and sockets: none of it belongs on the thread that answers.
    let Ok(result) = tokio::task::spawn_blocking(move || engine.reload(NOBODY)).await else {
        return fault(StatusCode::INTERNAL_SERVER_ERROR, "the reload failed; see the error log");
    };
    match result {
        Ok(done) => {
            tracing::info!("configuration {} is in force", done.generation);
            Json(reloaded(&done)).into_response()
        }
        Err(refused) => {
            tracing::error!("not reloaded, the old configuration stays: {}", refused.summary());
            refusal(&refused)
        }
    }
}

fn reloaded(done: &Reloaded) -> Value {
    json!({
        "result": "ok",
        "generation": done.generation,
        "opened": done.opened.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "closed": done.closed.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "notices": done.notices,
        "warnings": diagnostics(&done.warnings, &done.sources),
        "text": text(&done.warnings, &done.sources),
    })
}

/// A reload that was refused: 422 with all that stands against it, 503 while stopping.
fn refusal(refused: &Refused) -> Response {
    let (status, found, text) = match refused {
        Refused::Config(found, sources) => {
            (StatusCode::UNPROCESSABLE_ENTITY, diagnostics(found, sources), text(found, sources))
        }
        Refused::Bind(errors) => {
            let lines: Vec<String> = errors.iter().map(|error| format!("error: {error}")).collect();
            (StatusCode::UNPROCESSABLE_ENTITY, Vec::new(), lines.join("\n"))
        }
        Refused::System(why) => {
            (StatusCode::UNPROCESSABLE_ENTITY, Vec::new(), format!("error: {why}"))
        }
        Refused::Stopping => {
            (StatusCode::SERVICE_UNAVAILABLE, Vec::new(), "error: doorman is stopping".to_owned())
        }
    };
    let body = json!({
        "result": "failed",
        "error": refused.summary(),
        "diagnostics": found,
        "text": text,
    });
    (status, Json(body)).into_response()
}

fn diagnostics(found: &[Diagnostic], sources: &SourceMap) -> Vec<Value> {
    found.iter().map(|diagnostic| render::json(diagnostic, sources)).collect()
}

fn text(found: &[Diagnostic], sources: &SourceMap) -> String {
    render::annotated(found, sources, Colour::Never)
}

fn fault(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}
