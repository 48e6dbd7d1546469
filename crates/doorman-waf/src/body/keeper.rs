//! What readers keep, within bounds.
//!
//! All readers hand over what they found here, so that bounds are kept in one place. What is over a
//! bound is dropped and told: it never ends the reading, since then the outcome would depend on where
//! the pieces of a body were cut.

use super::{Bounds, Fault, Pair, Read, Upload};
use crate::rule::Processor;

/// What an item takes beside its bytes.
const ITEM: usize = 48;

/// A [`Read`] that is being made.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) bounds: Bounds,
    pub(super) read: Read,
    processor: Processor,
    /// Memory of what is kept.
    kept: usize,
    /// Bytes that count for [`Bounds::bytes_max`].
    bytes: u64,
}

impl Keeper {
    pub(super) fn new(processor: Processor, bounds: &Bounds) -> Self {
        Self { bounds: bounds.clone(), read: Read::default(), processor, kept: 0, bytes: 0 }
    }

    /// Counts bytes of the body that are no file's, and gives back how many of them may be read.
    pub(super) fn count(&mut self, bytes: usize) -> usize {
        let rest = usize::try_from(self.bounds.bytes_max - self.bytes).unwrap_or(usize::MAX);
        let within = bytes.min(rest);
        self.bytes += within as u64;
        within
    }

    /// Tells that there were more bytes than [`count`](Self::count) gave back. A reader does so when it
    /// has read those within.
    pub(super) fn over_bytes(&mut self) {
        self.read.over.bytes = true;
        let max = self.bounds.bytes_max;
        self.over(format_args!("the body without files is longer than {max} bytes"));
    }

    /// What was read.
    pub(super) fn finish(self) -> Read {
        self.read
    }

    /// Writes down that the body is not what it says it is, unless something was wrong before.
    pub(super) fn malformed(&mut self, what: std::fmt::Arguments<'_>) {
        if self.read.fault.is_none() {
            self.read.fault = Some(Fault::Malformed(self.message(what)));
        }
    }

    /// Writes down that a bound was met.
    fn over(&mut self, what: std::fmt::Arguments<'_>) {
        if self.read.fault.is_none() {
            self.read.fault = Some(Fault::Over(self.message(what)));
        }
    }

    fn message(&self, what: std::fmt::Arguments<'_>) -> String {
        format!("{}: {what}", self.processor.word())
    }

    /// Keeps an argument.
    pub(super) fn argument(&mut self, name: Vec<u8>, value: Vec<u8>) {
        if self.room_for_argument(&name, &value) {
            self.push_argument(name, value);
        }
    }

    /// Keeps an argument whose name is copied, which costs nothing once there is no room.
    pub(super) fn argument_at(&mut self, name: &[u8], value: Vec<u8>) {
        let name = &name[..name.len().min(self.bounds.name_max.saturating_add(1))];
        if self.room_for_argument(name, &value) {
            self.push_argument(name.to_vec(), value);
        }
    }

    fn room_for_argument(&mut self, name: &[u8], value: &[u8]) -> bool {
        if self.read.arguments.len() >= self.bounds.arguments_max {
            self.read.over.arguments = true;
            let max = self.bounds.arguments_max;
            self.over(format_args!("more than {max} arguments"));
            return false;
        }
        let (name_max, value_max) = (self.bounds.name_max, self.bounds.value_max);
        if name.len() > name_max || value.len() > value_max {
            self.read.over.lengths = true;
            self.over(format_args!("a name over {name_max} or a value over {value_max} bytes"));
        }
        self.room(name.len().min(name_max) + value.len().min(value_max))
    }

    fn push_argument(&mut self, mut name: Vec<u8>, mut value: Vec<u8>) {
        name.truncate(self.bounds.name_max);
        value.truncate(self.bounds.value_max);
        self.read.arguments.push(Pair { name, value });
    }

    /// Keeps a file, or what is said of it.
    pub(super) fn file(&mut self, file: Upload) {
        self.read.flags.file_limit_exceeded |= self.read.files.len() >= self.bounds.files_max;
        if self.room(file.name.len() + file.filename.len()) {
            self.read.files.push(file);
        }
    }

    /// Keeps a line of the header of the part of this name.
    pub(super) fn part_header(&mut self, name: &[u8], line: Vec<u8>) {
        if self.room(name.len() + line.len()) {
            self.read.part_headers.push(Pair { name: name.to_vec(), value: line });
        }
    }

    /// Tells that the header of a part is longer than what is kept of it.
    pub(super) fn over_part_header(&mut self) {
        self.read.over.part_header = true;
        let max = self.bounds.part_header_max;
        self.over(format_args!("the header of a part has more than {max} bytes or too many lines"));
    }

    /// Keeps a name that a part gives itself.
    pub(super) fn multipart_name(&mut self, name: Vec<u8>) {
        if self.room(name.len()) {
            self.read.multipart_names.push(name);
        }
    }

    /// Keeps the name of a file.
    pub(super) fn multipart_filename(&mut self, name: Vec<u8>) {
        if self.room(name.len()) {
            self.read.multipart_filenames.push(name);
        }
    }

    /// Keeps an attribute's value.
    pub(super) fn xml_attribute(&mut self, value: Vec<u8>) {
        if self.room(value.len()) {
            self.read.xml_attributes.push(value);
        }
    }

    /// Tells that the document is deeper than what is read.
    pub(super) fn over_depth(&mut self) {
        self.read.over.depth = true;
        let max = self.bounds.depth_max;
        self.over(format_args!("more than {max} levels"));
    }

    /// Whether an item of this many bytes may be kept.
    fn room(&mut self, bytes: usize) -> bool {
        let kept = self.kept.saturating_add(bytes).saturating_add(ITEM);
        if kept > self.bounds.kept_max {
            self.read.over.kept = true;
            let max = self.bounds.kept_max;
            self.over(format_args!("names and values take more than {max} bytes"));
            return false;
        }
        self.kept = kept;
        true
    }
}
