//! What directives other than rules set.

/// What matches do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EngineMode {
    /// Rules are not run.
    Off,
    /// Rules are run and told of; nothing is refused.
    DetectionOnly,
    /// Rules are run and obeyed.
    #[default]
    On,
}

/// What is done past a limit of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverLimit {
    /// The transaction is refused.
    Reject,
    /// What is within is looked at; the rest passes.
    Partial,
}

/// How a request's body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Processor {
    /// `application/x-www-form-urlencoded`.
    UrlEncoded,
    /// `multipart/form-data`.
    Multipart,
    /// JSON.
    Json,
    /// XML.
    Xml,
    /// Not at all: its bytes are REQUEST_BODY.
    Raw,
}

impl Processor {
    /// Its word in REQBODY_PROCESSOR.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::UrlEncoded => "URLENCODED",
            Self::Multipart => "MULTIPART",
            Self::Json => "JSON",
            Self::Xml => "XML",
            Self::Raw => "RAW",
        }
    }
}

/// Bounds and switches of a rule set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `SecRuleEngine`.
    pub engine: EngineMode,
    /// `SecRequestBodyAccess`.
    pub request_body: bool,
    /// `SecResponseBodyAccess`.
    pub response_body: bool,
    /// `SecRequestBodyLimit`: bytes of a request's body that are looked at.
    pub request_body_limit: u64,
    /// `SecRequestBodyNoFilesLimit`: the same without the contents of files.
    pub request_body_no_files_limit: u64,
    /// `SecRequestBodyLimitAction`.
    pub request_over_limit: OverLimit,
    /// `SecResponseBodyLimit`.
    pub response_body_limit: u64,
    /// `SecResponseBodyLimitAction`.
    pub response_over_limit: OverLimit,
    /// `SecResponseBodyMimeType`: types without parameters, in lower case.
    pub response_types: Vec<String>,
    /// `SecArgumentsLimit`: arguments that are read; more is flagged.
    pub arguments_max: usize,
    /// `SecArgumentSeparator`.
    pub argument_separator: u8,
    /// `SecRequestBodyJsonDepthLimit`.
    pub json_depth_max: usize,
    /// `SecUploadFileLimit`: files of a multipart body.
    pub files_max: usize,
    /// `SecCollectionTimeout`: seconds after which a collection that nobody touched is gone.
    pub collection_timeout: u32,
    /// `SecPcreMatchLimit`: steps of one match of a pattern that needs look-around.
    pub match_steps_max: u32,
    /// `SecCookieFormat` 0 or 1.
    pub cookie_format: u8,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            engine: EngineMode::On,
            request_body: true,
            response_body: false,
            request_body_limit: 13_107_200,
            request_body_no_files_limit: 131_072,
            request_over_limit: OverLimit::Reject,
            response_body_limit: 524_288,
            response_over_limit: OverLimit::Partial,
            response_types: ["text/plain", "text/html", "text/xml"].map(str::to_owned).to_vec(),
            arguments_max: 1_000,
            argument_separator: b'&',
            json_depth_max: 512,
            files_max: 100,
            collection_timeout: 3_600,
            match_steps_max: 100_000,
            cookie_format: 0,
        }
    }
}
