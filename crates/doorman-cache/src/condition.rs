//! Requests that ask an origin whether a stored response is still good (RFC 9111 section 4.3.1), and
//! requests for what is to be stored.

use doorman_http::{FieldId, RequestHead, ResponseHead};

use crate::validator;

/// Makes the request ask whether the stored response is still good. The client's own conditions and
/// its `Range` go: the whole is to be validated, and the client's conditions are answered from it.
/// Without a validator in the stored response the request becomes one for the whole.
pub fn condition(stored: &ResponseHead, request: &mut RequestHead) {
    strip_for_fill(request);
    if let Some(tag) = validator::tag(&stored.fields) {
        request.fields.push_id(FieldId::IfNoneMatch, tag.text);
    }
    // Beside a tag, too: an origin that does not know tags goes by it (RFC 9110 section 13.1.3).
    if let Some((text, _)) = validator::last_modified(&stored.fields) {
        request.fields.push_id(FieldId::IfModifiedSince, text);
    }
}

/// Takes off what would make the answer something else than the whole: conditions and `Range`.
pub fn strip_for_fill(request: &mut RequestHead) {
    for id in [
        FieldId::IfMatch,
        FieldId::IfNoneMatch,
        FieldId::IfModifiedSince,
        FieldId::IfUnmodifiedSince,
        FieldId::IfRange,
        FieldId::Range,
    ] {
        request.fields.remove_id(id);
    }
}
