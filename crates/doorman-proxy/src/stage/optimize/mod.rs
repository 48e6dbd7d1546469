//! Stored answers in forms that are smaller and show the same.
//!
//! What shaped it: such a form takes up to seconds to be made, so nobody waits for one. The stored answer
//! is served as it is until the form is there; then the form is served. Only what is stored has forms, and
//! they are its siblings, so they are fresh as long as it is and go when it goes. What cannot be made of
//! an answer is remembered with it, too, and not tried again.

mod html;
mod make;

use std::sync::Arc;

use doorman_http::{FieldId, Fields, RequestHead, ResponseHead};
use doorman_optimize::image::{self, Format, Hints};
use doorman_optimize::text::{Kind, is_readable_charset, kind_of};
use doorman_store::{Kin, Object, Sibling, Store};
use doorman_transform::{forbids_change, other_form, vary};

use crate::exchange::Exchange;
use crate::form::{Content, Shape};
use crate::plan::{PlanForms, PlanImages, PlanOptimize};

pub(crate) use html::passing;

/// What the client asks of an image by the query; read before the cache takes that off.
pub(crate) fn shape(optimize: &PlanOptimize, request: &RequestHead) -> Option<Shape> {
    let images = optimize.images.as_ref()?;
    let name = images.resize.as_deref()?;
    let query = request.query()?;
    let value = query.split(|&b| b == b'&').find_map(|pair| {
        let value = pair.strip_prefix(name)?;
        value.strip_prefix(b"=")
    })?;
    images.asked(value)
}

/// What is to be made of a stored answer for this client; `None`: nothing.
pub(crate) fn wanted(
    optimize: &PlanOptimize,
    shape: Option<Shape>,
    request: &RequestHead,
    stored: &ResponseHead,
) -> Option<Content> {
    let is_plain = stored.status == 200 && !stored.fields.has(FieldId::ContentEncoding);
    if !is_plain || forbids_change(&stored.fields) || forbids_change(&request.fields) {
        return None;
    }
    let content_type = stored.fields.sole(FieldId::ContentType)?;
    if let (Some(images), Some(source)) = (&optimize.images, source(content_type)) {
        return image_for(images, shape, request, source);
    }
    let kind = kind_of(content_type)?;
    optimize.text(kind)?;
    is_readable_charset(content_type).then_some(Content::Text(kind))
}

/// Whether anything could be made of a stored answer, by its type.
pub(crate) fn concerns(optimize: &PlanOptimize, object: &Object) -> bool {
    let Some(content_type) = object.head().first(FieldId::ContentType) else { return false };
    optimize.images.is_some() && source(content_type).is_some()
        || kind_of(content_type).is_some_and(|kind| optimize.text(kind).is_some())
}

/// The format of an answer that is an image which can be read.
fn source(content_type: &[u8]) -> Option<Format> {
    let essence = content_type.split(|&b| b == b';').next()?.trim_ascii();
    let readable = [Format::Jpeg, Format::Png, Format::WebP, Format::Gif];
    readable.into_iter().find(|one| essence.eq_ignore_ascii_case(one.media_type().as_bytes()))
}

/// What is to be made of an image in this format; `None`: nothing.
pub(crate) fn image_for(
    images: &PlanImages,
    shape: Option<Shape>,
    request: &RequestHead,
    source: Format,
) -> Option<Content> {
    let fields = &request.fields;
    let mut lines = fields.all(FieldId::Accept);
    let accept = lines.next().unwrap_or_default();
    let joined: Vec<u8>;
    let accept = match lines.next() {
        None => accept,
        Some(_) => {
            joined = fields.all(FieldId::Accept).collect::<Vec<_>>().join(&b","[..]);
            &joined
        }
    };
    let format = image::choose(accept, &images.offered, source);
    let shape = shape.unwrap_or_else(|| {
        images.within(if images.hints { hints(fields).width(&images.widths) } else { None })
    });
    // A format that is not offered is kept by an image that is to have fewer pixels, and by no other.
    let is_offered = images.offered.contains(&format);
    let is_scaled = shape.width.is_some() || shape.height.is_some();
    let is_made = format != Format::Gif && (is_offered || is_scaled);
    is_made.then_some(Content::Image { format, shape })
}

/// What a browser says of its screen.
fn hints(fields: &Fields) -> Hints<'_> {
    let either = |one: &[u8], other: &[u8]| fields.first_named(one).or(fields.first_named(other));
    Hints {
        width: either(b"sec-ch-width", b"width"),
        dpr: either(b"sec-ch-dpr", b"dpr"),
        viewport_width: either(b"sec-ch-viewport-width", b"viewport-width"),
        save_data: fields.first_named(b"save-data"),
    }
}

/// Fields by which images differ where browsers are asked how wide they show them.
const HINTS: &[u8] = b"Sec-CH-Width, Sec-CH-DPR, Sec-CH-Viewport-Width, Save-Data";
/// The same as a question to browsers.
const ASK: &[u8] = b"Sec-CH-Width, Sec-CH-DPR, Sec-CH-Viewport-Width";

/// Says what an answer of this route varies by, whichever form it has.
pub(crate) fn varied(optimize: &PlanOptimize, head: &mut ResponseHead) {
    let Some(images) = &optimize.images else { return };
    let Some(content_type) = head.fields.sole(FieldId::ContentType) else { return };
    if source(content_type).is_some() {
        vary(&mut head.fields, b"Accept");
        if images.hints {
            HINTS.split(|&b| b == b',').for_each(|n| vary(&mut head.fields, n.trim_ascii()));
        }
    } else if images.hints && kind_of(content_type) == Some(Kind::Html) {
        head.fields.push(b"accept-ch", ASK);
    }
}

/// The form of a stored answer that this client gets, if it is there. If it is not, it is made, for the
/// next one.
pub(crate) fn find(
    forms: &PlanForms,
    shape: Option<Shape>,
    store: &Arc<Store>,
    object: &Arc<Object>,
    head: &ResponseHead,
    exchange: &mut Exchange,
) -> Option<(Content, Arc<Sibling>)> {
    let content = wanted(&forms.rules, shape, &exchange.head, head)?;
    let record = exchange.record();
    record.optimize_reason = Some(match object.sibling(content.form()) {
        Some(Kin::Here(sibling)) if sibling.length().is_some() => {
            record.optimized = Some(content.word());
            return Some((content, sibling));
        }
        Some(Kin::Here(_)) => make::MAKING,
        Some(Kin::Refused(reason)) => content.refusal(reason),
        None => make::offer(forms, content, store, object),
    });
    None
}

/// Edits the head of an answer whose body is such a form.
pub(crate) fn edit(head: &mut ResponseHead, content: Content) {
    other_form(head);
    if let Content::Image { format, .. } = content {
        head.fields.remove_id(FieldId::ContentType);
        head.fields.push_id(FieldId::ContentType, format.media_type().as_bytes());
    }
}
