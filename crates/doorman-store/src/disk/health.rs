//! Whether the disk can be written, what it has done so far, and what is to be said about it.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::hold;

/// Lines that wait to be logged; the oldest goes.
const NEWS_MAX: usize = 16;
/// Files of which damage was told: of more than that nobody wants to read.
const TOLD_MAX: usize = 64;

/// Counts since the start, and what is there now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of all files.
    pub bytes: u64,
    /// Objects on disk. One that was replaced and not forgotten counts until its segment goes.
    pub objects: u64,
    /// Objects written.
    pub writes: u64,
    /// Objects that were not written: the queue was full, or the disk was.
    pub refused: u64,
    /// Records whose bytes were not what was written.
    pub damaged: u64,
    /// Objects that went to make room.
    pub evictions: u64,
    /// Objects that were kept when their segment went, because they are in use.
    pub kept: u64,
    /// Reads and writes that the system failed.
    pub errors: u64,
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) bytes: AtomicU64,
    pub(super) objects: AtomicU64,
    pub(super) writes: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) damaged: AtomicU64,
    pub(super) evictions: AtomicU64,
    pub(super) kept: AtomicU64,
    pub(super) errors: AtomicU64,
}

pub(super) fn add(count: &AtomicU64, by: u64) {
    count.fetch_add(by, Ordering::Relaxed);
}

/// Never below zero.
pub(super) fn subtract(count: &AtomicU64, by: u64) {
    let less = |now: u64| Some(now.saturating_sub(by));
    let _ = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
}

impl Counts {
    pub(super) fn stats(&self) -> Stats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Stats {
            bytes: read(&self.bytes),
            objects: read(&self.objects),
            writes: read(&self.writes),
            refused: read(&self.refused),
            damaged: read(&self.damaged),
            evictions: read(&self.evictions),
            kept: read(&self.kept),
            errors: read(&self.errors),
        }
    }
}

#[derive(Default)]
struct Said {
    problem: Option<String>,
    news: VecDeque<String>,
    /// Files of which damage was told.
    told: BTreeSet<u64>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Health {
    paused: AtomicBool,
    said: Mutex<Said>,
}

impl Health {
    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Writing failed and stops for a while.
    pub(super) fn pause(&self, place: &str, error: &io::Error, seconds: u64) {
        self.paused.store(true, Ordering::Relaxed);
        let problem = format!(
            "the cache on disk cannot be written ({place}: {error}): new responses are kept in \
             memory only, and it is tried again every {seconds} seconds"
        );
        let mut said = hold(&self.said);
        let was_well = said.problem.replace(problem.clone()).is_none();
        drop(said);
        if was_well {
            self.say(problem);
        }
    }

    /// The pause is over; whether the disk works again is not known yet.
    pub(super) fn resume(&self) {
        self.paused.store(false, Ordering::Relaxed);
    }

    /// A write went through.
    pub(super) fn works(&self) {
        let ended = hold(&self.said).problem.take();
        if ended.is_some() {
            self.say("the cache on disk can be written again".to_owned());
        }
    }

    pub(super) fn problem(&self) -> Option<String> {
        hold(&self.said).problem.clone()
    }

    pub(super) fn say(&self, line: String) {
        let news = &mut hold(&self.said).news;
        if news.len() == NEWS_MAX {
            news.pop_front();
        }
        news.push_back(line);
    }

    /// Says it once a file: damage seldom comes alone.
    pub(super) fn say_damaged(&self, file: u64, place: &str) {
        let mut said = hold(&self.said);
        let is_new = said.told.len() < TOLD_MAX && said.told.insert(file);
        drop(said);
        if is_new {
            self.say(format!("{place} is damaged: what is damaged in it is fetched anew"));
        }
    }

    pub(super) fn take_news(&self) -> Vec<String> {
        hold(&self.said).news.drain(..).collect()
    }
}
