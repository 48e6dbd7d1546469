//! In which form a request would be answered, as far as the request tells.

use doorman_http::RequestHead;
use doorman_http::coding::Coding;
use doorman_optimize::image::Format;
use doorman_optimize::text::Kind;
use doorman_transform::{Asked, Verdict, promised};

use crate::form::{Content, Shape};
use crate::plan::{PlanCode, PlanForms};
use crate::stage::optimize;

/// How an answer would be coded.
#[derive(Debug)]
pub struct Codes {
    /// The coding that it gets, if it is one that is coded, with the levels at which that is done as it
    /// passes and for a store.
    pub coding: Option<(Coding, u8, u8)>,
    /// Why it gets none, whatever it is: the word of the log.
    pub why: Option<&'static str>,
    /// The codings that are offered.
    pub offered: Vec<Coding>,
    /// Bytes of the smallest body that is coded.
    pub min: u64,
}

/// Bounds on what is decoded for clients that cannot read it.
#[derive(Clone, Copy, Debug)]
pub struct Decodes {
    /// How many times longer a body may become.
    pub ratio: u32,
    /// Bytes that it may become.
    pub max: u64,
}

/// What would be made of a stored answer.
#[derive(Debug)]
pub struct Optimizes {
    /// Kinds of text that are made smaller.
    pub texts: Vec<&'static str>,
    /// By the format of an image, what is made of it for this client.
    pub images: Vec<(&'static str, &'static str)>,
    /// The most pixels in a row and the most rows that it is given.
    pub size: (Option<u32>, Option<u32>),
}

/// How an answer would be coded.
pub(super) fn codes(code: &PlanCode, request: &RequestHead) -> Option<Codes> {
    let compress = code.compress.as_ref()?;
    let rules = compress.rules();
    let (coding, why) = match promised(&Asked::of(request), &rules) {
        Verdict::Code(coding) => {
            let levels = compress.levels(coding);
            (Some((coding, levels.first.number(), levels.kept.number())), None)
        }
        Verdict::Not(reason) => (None, Some(reason.word())),
    };
    Some(Codes { coding, why, offered: rules.offered.to_vec(), min: rules.min })
}

/// Bounds on what is decoded.
pub(super) fn decodes(code: &PlanCode) -> Option<Decodes> {
    let bounds = code.decompress.as_ref()?.bounds;
    Some(Decodes { ratio: bounds.ratio, max: bounds.max })
}

/// What would be made of a stored answer. `shape` is what the query asked for.
pub(super) fn optimizes(
    forms: &PlanForms,
    shape: Option<Shape>,
    request: &RequestHead,
) -> Optimizes {
    let has = |kind: &Kind| forms.rules.text(*kind).is_some();
    let texts = Kind::ALL.into_iter().filter(has).map(Kind::word).collect();
    let (mut images, mut size) = (Vec::new(), (None, None));
    if let Some(rules) = &forms.rules.images {
        for source in [Format::Jpeg, Format::Png, Format::WebP, Format::Gif] {
            let content = optimize::image_for(rules, shape, request, source);
            match content {
                Some(Content::Image { format, shape }) => {
                    images.push((source.word(), format.word()));
                    size = (shape.width, shape.height);
                }
                _ => images.push((source.word(), source.word())),
            }
        }
    }
    Optimizes { texts, images, size }
}
