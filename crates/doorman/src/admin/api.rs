//! The calls of the admin API. What changes something is a POST, what only tells is a GET; answers
//! are JSON, faults too.

use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use doorman_config::render::{self, Colour};
use doorman_config::{Diagnostic, SourceMap};
use serde_json::{Value, json};

use super::guard::Guard;
use super::{lock, status};
use crate::engine::{Engine, Refused, Reloaded};
use crate::metrics::Exporter;

/// What the calls share.
pub(super) struct Shared {
    engine: Arc<Engine>,
    exporter: Arc<Mutex<Exporter>>,
    pub(super) guard: Mutex<Option<Guard>>,
}

impl Shared {
    pub(super) fn new(engine: Arc<Engine>, exporter: Arc<Mutex<Exporter>>) -> Self {
        Self { engine, exporter, guard: Mutex::new(None) }
    }
}

/// The API.
pub(super) fn admin(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/reload", post(reload))
        .route("/status", get(report))
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
        Some(guard) => guard.check(request.method(), request.headers()),
        None => Ok(()),
    };
    match verdict {
        Ok(()) => next.run(request).await,
        Err(refusal) => fault(refusal.status(), refusal.message()),
    }
}

async fn unknown() -> Response {
    fault(StatusCode::NOT_FOUND, "no such call")
}

async fn report(State(shared): State<Arc<Shared>>) -> Response {
    Json(status::of(&shared.engine)).into_response()
}

async fn page(State(shared): State<Arc<Shared>>) -> Response {
    let text = lock(&shared.exporter).export(&shared.engine);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn reload(State(shared): State<Arc<Shared>>) -> Response {
    let engine = Arc::clone(&shared.engine);
    // Files, keys and sockets: none of it belongs on the thread that answers.
    let Ok(result) = tokio::task::spawn_blocking(move || engine.reload()).await else {
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
