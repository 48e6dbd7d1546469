//! How a route codes its answers, ready to run.

use std::sync::atomic::{AtomicU64, Ordering};

use doorman_config::{Breach, Compress, Decompress, RouteOptions};
use doorman_http::coding::Coding;
use doorman_transform::{Bounds, CodeRules, Guard, Level, TypeSet};

use super::compile::{Faults, code};

/// What is done to the codings of answers.
pub(crate) struct PlanCode {
    pub(crate) compress: Option<PlanCompress>,
    pub(crate) decompress: Option<PlanDecompress>,
}

/// How answers are coded on their way.
pub(crate) struct PlanCompress {
    /// The codings that are offered; the first is preferred among those that a client likes equally.
    offered: Box<[Coding]>,
    /// How hard each tries, by the order of [`Coding::ALL`].
    levels: [Levels; Coding::ALL.len()],
    min: u64,
    types: TypeSet,
    guard: Guard,
    /// Bytes of chance that each answer is padded with at most; 0: none is.
    pad_max: u32,
    /// Whether what the origin has coded is coded anew for clients that take something better.
    pub(crate) recode: bool,
    /// Stands for these rules: no others have it, those of a plan to come included.
    pub(crate) stamp: u64,
}

/// The stamp of the rules that are compiled next.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// How hard a coding tries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Levels {
    /// For answers as they pass.
    pub(crate) first: Level,
    /// For what a store keeps.
    pub(crate) kept: Level,
}

/// How a coding is taken off for clients that cannot read it.
pub(crate) struct PlanDecompress {
    pub(crate) bounds: Bounds,
}

impl PlanCode {
    /// `None` if nothing is to be done.
    pub(super) fn compile(options: &RouteOptions, faults: &mut Faults) -> Option<Self> {
        let compress = options.compress.as_ref();
        let compress = compress.and_then(|compress| PlanCompress::compile(compress, faults));
        let decompress = options.decompress.as_ref().map(PlanDecompress::compile);
        let is_any = compress.is_some() || decompress.is_some();
        is_any.then_some(Self { compress, decompress })
    }
}

impl PlanCompress {
    fn compile(written: &Compress, faults: &mut Faults) -> Option<Self> {
        let types = written.types.value.iter().map(String::as_str);
        let types = TypeSet::new(types).map_err(|error| {
            faults.error(code::EXPRESSION, written.span, error.to_string());
        });
        let mut levels = Coding::ALL
            .map(|coding| Levels { first: Level::passing(coding), kept: Level::kept(coding) });
        for one in &written.codings {
            let (coding, own) = (one.value.coding, &mut levels[one.value.coding as usize]);
            own.first = Level::of(coding, one.value.first).unwrap_or(own.first);
            own.kept = Level::of(coding, one.value.kept).unwrap_or(own.kept);
        }
        let (guard, pad_max) = match written.breach.value {
            Breach::Careful => (Guard::Careful, 0),
            Breach::Off => (Guard::Off, 0),
            Breach::Pad(most) => (Guard::Off, most),
        };
        Some(Self {
            offered: written.codings.iter().map(|one| one.value.coding).collect(),
            levels,
            min: written.min.value,
            types: types.ok()?,
            guard,
            pad_max,
            recode: written.recode.value,
            stamp: NEXT.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// What is coded.
    pub(crate) fn rules(&self) -> CodeRules<'_> {
        CodeRules { offered: &self.offered, min: self.min, types: &self.types, guard: self.guard }
    }

    /// Bytes of chance for one answer. `None` if there is to be no padding at all.
    pub(crate) fn padding(&self, dice: impl FnOnce() -> u64) -> Option<usize> {
        let most = u64::from(self.pad_max);
        (most > 0).then(|| usize::try_from(dice() % (most + 1)).unwrap_or(0))
    }

    /// How hard a coding tries.
    pub(crate) fn levels(&self, coding: Coding) -> Levels {
        self.levels[coding as usize]
    }
}

impl PlanDecompress {
    fn compile(written: &Decompress) -> Self {
        let bounds = Bounds { ratio: written.ratio.value, max: written.max.value };
        Self { bounds }
    }
}
