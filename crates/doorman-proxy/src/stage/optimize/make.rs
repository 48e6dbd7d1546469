//! A form is made, by a thread that no request waits for.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use doorman_optimize::text::Kind;
use doorman_optimize::{image, text};
use doorman_store::{Making, Object, Store, TOO_LARGE};

use crate::form::Content;
use crate::plan::PlanForms;

/// It is not there yet.
pub(super) const MAKING: &str = "making";

/// How a form is made of the bytes of an answer.
#[derive(Clone, Copy)]
enum Work {
    Text(text::Bounds),
    Image(image::Bounds),
}

/// Has a form made. Says why it is not there yet.
pub(super) fn offer(
    forms: &PlanForms,
    content: Content,
    store: &Arc<Store>,
    object: &Arc<Object>,
) -> &'static str {
    let (work, most) = match (content, &forms.rules.images) {
        (Content::Text(kind), _) => match forms.rules.text(kind) {
            Some(bounds) => (Work::Text(bounds), bounds.size),
            None => return "off",
        },
        (Content::Image { .. }, Some(images)) => {
            (Work::Image(images.bounds), images.bounds.max_bytes)
        }
        (Content::Image { .. }, None) => return "off",
    };
    if object.is_filling() {
        return "coming";
    }
    let length = object.length().unwrap_or(u64::MAX);
    if usize::try_from(length).map_or(true, |length| length > most) {
        return "too-large";
    }
    if !forms.workshop.has_room(length) {
        forms.workshop.drop_one();
        return "busy";
    }
    let Some(making) = store.make(object, content.form()) else { return MAKING };
    let (object, made) = (Arc::clone(object), Arc::clone(&forms.made));
    let job = Box::new(move |clock: &dyn Fn() -> doorman_http::Instant| {
        let began = clock();
        let ended = run(&object, content, work, making);
        made.add(content, ended, clock().0.saturating_sub(began.0));
    });
    let clock = forms.clock;
    forms.workshop.offer(length, &|| clock.instant(), job);
    MAKING
}

/// Makes it. Says of how many bytes how many were made, if any were.
fn run(
    object: &Arc<Object>,
    content: Content,
    work: Work,
    mut making: Making,
) -> Option<(usize, usize)> {
    let Some(original) = bytes(object) else {
        // It is read from a disk by parts because it is long, and will be at the next hit, too.
        making.refuse(TOO_LARGE);
        return None;
    };
    let out = match (content, work) {
        (Content::Text(kind), Work::Text(bounds)) => {
            minify(kind, &original, &bounds).map_err(|refusal| refusal as u8)
        }
        (Content::Image { format, shape }, Work::Image(bounds)) => {
            let made = image::optimize(&original, &Content::want(format, shape), &bounds);
            made.map(|made| made.bytes).map_err(|refusal| refusal as u8)
        }
        _ => return None,
    };
    match out {
        Ok(out) => {
            let sizes = (original.len(), out.len());
            making.push(&out);
            making.finish(0).map(|_| sizes)
        }
        Err(reason) => {
            making.refuse(reason);
            None
        }
    }
}

/// A text without what nobody reads.
fn minify(kind: Kind, text: &[u8], bounds: &text::Bounds) -> Result<Vec<u8>, text::Refusal> {
    match kind {
        Kind::Html => page(text, bounds),
        Kind::Css => text::css(text, bounds),
        Kind::Js => text::js(text, bounds),
        Kind::Json => text::json(text, bounds),
        Kind::Svg => text::svg(text, bounds),
    }
}

/// A page; it is not read but by its tags, so nothing in it can be wrong.
fn page(text: &[u8], bounds: &text::Bounds) -> Result<Vec<u8>, text::Refusal> {
    if text.len() > bounds.size {
        return Err(text::Refusal::TooLarge);
    }
    let (mut html, mut out) = (text::Html::default(), Vec::with_capacity(text.len()));
    html.push(text, &mut out);
    html.finish(&mut out);
    if out.len() < text.len() { Ok(out) } else { Err(text::Refusal::NotSmaller) }
}

/// All bytes of a stored body, if they are in memory.
fn bytes(object: &Arc<Object>) -> Option<Vec<u8>> {
    let mut reader = object.read(0..u64::MAX)?;
    let mut all = Vec::with_capacity(usize::try_from(object.length()?).ok()?);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        let step = match reader.poll_next(&mut cx) {
            Poll::Ready(Some(Ok(piece))) => {
                all.extend_from_slice(&piece);
                ControlFlow::Continue(())
            }
            Poll::Ready(None) => ControlFlow::Break(true),
            // What is read from a disk by parts, or was cut, is left as it is.
            Poll::Ready(Some(Err(_))) | Poll::Pending => ControlFlow::Break(false),
        };
        if let ControlFlow::Break(is_whole) = step {
            return is_whole.then_some(all);
        }
    }
}
