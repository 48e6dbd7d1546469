//! The `store` block.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::Decoder;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{Diagnostic, Evict, Setting, Spanned, Store, StoreDisk, StoreId};

/// Each store has memory of its own, so what few stores hold well many hold badly.
const STORES_MAX: usize = 64;

/// Bounds of the memory. With less hardly a page would fit.
const MEMORY_BYTES: (u64, u64) = (1 << 20, 1 << 40);

/// Without a word.
const MEMORY_DEFAULT: u64 = 256 << 20;

/// Bounds of the disk: below, files would be too small to be written well.
const DISK_BYTES: (u64, u64) = (64 << 20, 1 << 50);

/// Least bound on an object: a smaller one would keep nothing.
const OBJECT_BYTES_MIN: u64 = 1 << 10;

/// Most of the memory that one object takes unless the operator says so.
const OBJECT_DEFAULT_MAX: u64 = 1 << 30;

/// The part of a store that one object may take unless the operator says so.
const OBJECT_PART: u64 = 8;

/// Ten years. What is to be kept for longer is kept until it is purged.
const SECONDS_MAX: u64 = 3_650 * 24 * 3600;

impl Decoder<'_> {
    pub(super) fn store(&mut self, block: &Item) {
        let Some(text) = block.value(0) else { return };
        let Some(name) = self.ok(store_name(text)) else { return };
        let store = self.store_block(block, name.clone());
        if block.is_off() {
            self.switched_off.insert(name.value, name.span);
            return;
        }
        if let Some(first) = self.store_names.get(&name.value) {
            let first = self.stores.get(first.0 as usize).map(|first| first.name.span);
            let message = format!("a second store `{}`", name.value);
            let error = Diagnostic::error("E0208", name.span, message);
            return self.say(first.iter().fold(error, |error, at| error.also(*at, "the first")));
        }
        if self.stores.len() == STORES_MAX {
            let error =
                Diagnostic::error("E0110", block.span, format!("more than {STORES_MAX} stores"));
            return self.say(error.help("put what is kept into fewer stores"));
        }
        let id = StoreId(u32::try_from(self.stores.len()).unwrap_or(u32::MAX));
        self.store_names.insert(name.value, id);
        self.used_stores.push(false);
        self.stores.push(store);
    }

    fn store_block(&mut self, block: &Item, name: Spanned<String>) -> Store {
        let mut store = Store {
            name,
            memory: Setting::default_of(MEMORY_DEFAULT),
            disk: None,
            max_object: Setting::default_of(0),
            evict: Setting::default_of(Evict::S3Fifo),
            default_ttl: None,
            grace: None,
            span: block.span,
        };
        let mut max_object = None;
        for item in &block.children {
            match item.directive.name {
                "memory" => self.set(item, &mut store.memory, |text| {
                    values::size_within(text, MEMORY_BYTES.0, MEMORY_BYTES.1)
                        .map_err(|error| error.help("write a size from 1MiB to 1TiB"))
                }),
                "disk" => {
                    let disk = self.disk(item);
                    store.disk = disk.filter(|_| !item.is_off()).or(store.disk);
                }
                "max-object" => self.fill(item, &mut max_object, object_size),
                "evict" => self.set(item, &mut store.evict, |text| {
                    values::choice(text, &[("s3-fifo", Evict::S3Fifo), ("lru", Evict::Lru)], &[])
                }),
                "default-ttl" => self.fill(item, &mut store.default_ttl, seconds),
                _ => self.fill(item, &mut store.grace, seconds),
            }
        }
        store.max_object = self.max_object(&store, max_object);
        store
    }

    /// `disk SIZE DIR`.
    fn disk(&mut self, item: &Item) -> Option<Spanned<StoreDisk>> {
        let (size, dir) = (item.value(0)?, item.value(1)?);
        let bytes = self.ok(values::size_within(size, DISK_BYTES.0, DISK_BYTES.1)
            .map_err(|error| error.help("write a size from 64MiB to 1024TiB")));
        let dir = self.ok(folder(dir));
        Some(Spanned::new(StoreDisk { bytes: bytes?.value, dir: dir?.value }, item.span))
    }

    /// The bound on objects, which must fit into the tier that holds most.
    fn max_object(&mut self, store: &Store, written: Option<Spanned<u64>>) -> Setting<u64> {
        let disk = store.disk.as_ref().map(|disk| disk.value.bytes);
        let Some(max) = written else {
            let part = match disk {
                Some(bytes) => bytes / OBJECT_PART,
                None => (store.memory.value / OBJECT_PART).min(OBJECT_DEFAULT_MAX),
            };
            return Setting::default_of(part);
        };
        let (room, tier, place) = match &store.disk {
            Some(disk) => (disk.value.bytes, "disk", Some(disk.span)),
            None => (store.memory.value, "memory", store.memory.span),
        };
        if max.value > room {
            let message = format!("`max-object` is larger than the {tier} of this store");
            let error = Diagnostic::error("E0242", max.span, message);
            let error = place.iter().fold(error, |error, at| error.also(*at, "all of it"));
            self.say(error.help(format!("write less than `{tier}` has, or give it more")));
        }
        max.into()
    }

    /// Two stores in one folder would take each other's files for their own.
    pub(super) fn check_folders(&mut self) {
        let disks: Vec<Spanned<StoreDisk>> =
            self.stores.iter().filter_map(|store| store.disk.clone()).collect();
        for (at, disk) in disks.iter().enumerate() {
            let dir = &disk.value.dir;
            let clash = |other: &&Spanned<StoreDisk>| {
                dir.starts_with(&other.value.dir) || other.value.dir.starts_with(dir)
            };
            let Some(first) = disks[..at].iter().find(clash) else { continue };
            let message = if first.value.dir == *dir {
                "two stores with one folder"
            } else {
                "the folder of one store lies within that of another"
            };
            let error = Diagnostic::error("E0242", disk.span, message);
            self.say(
                error.also(first.span, "the other one").help("give each store a folder of its own"),
            );
        }
    }

    pub(super) fn check_stores_used(&mut self) {
        if self.damaged {
            return;
        }
        for (store, used) in self.stores.iter().zip(&self.used_stores) {
            if !used {
                let message = format!("nothing is kept in store `{}`", store.name.value);
                self.diagnostics.push(
                    Diagnostic::warning("W0307", store.name.span, message)
                        .help("name it in a `cache` line, or put `off` in front of it"),
                );
            }
        }
    }

    /// The store of a name.
    pub(super) fn named_store(&mut self, text: &Text) -> Option<StoreId> {
        if let Some(id) = self.store_names.get(&text.text) {
            if let Some(used) = self.used_stores.get_mut(id.0 as usize) {
                *used = true;
            }
            return Some(*id);
        }
        let message = format!("there is no store `{}`", text.shown());
        let error = Diagnostic::error("E0243", text.span, message);
        let error = if let Some(off) = self.switched_off.get(&text.text) {
            error.also(*off, "it is switched off here").help("take the `off` in front of it away")
        } else if self.diagnostics.count() > super::upstream::SUGGESTED_MAX {
            error
        } else {
            let names = super::names_of(self.store_names.keys());
            match crate::suggest::nearest(&text.text, names) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help(format!("write `store {} {{ memory 256MiB }}`", text.shown())),
            }
        };
        self.say(error);
        None
    }
}

/// A name; `off` is none, as `cache off` says something else.
fn store_name(text: &Text) -> Value<String> {
    if text.text == "off" {
        let error = Diagnostic::error("E0313", text.span, "`off` cannot be the name of a store");
        return Err(error.help("`cache off` says that nothing is kept"));
    }
    values::name(text)
}

/// The bound on an object. Whether a store has room for so much is seen later.
pub(super) fn object_size(text: &Text) -> Value<u64> {
    values::size_within(text, OBJECT_BYTES_MIN, DISK_BYTES.1)
        .map_err(|error| error.help("write a size of 1KiB or more"))
}

/// A time in whole seconds, as freshness has it (RFC 9111 section 1.2.2).
pub(super) fn seconds(text: &Text) -> Value<Duration> {
    if values::is_number(&text.text) {
        return Err(values::unit_missing(text, "time", &["s", "m", "h"]));
    }
    let time = values::duration_up_to(text, SECONDS_MAX, "ten years (3650d)")?;
    if time.value.subsec_nanos() != 0 {
        let message = format!("`{}` is not in whole seconds", text.shown());
        let help = "freshness is counted in seconds: write 1s, 5m, 1h or 7d";
        return Err(Diagnostic::error("E0304", text.span, message).help(help));
    }
    Ok(time)
}

/// A folder of a store: absolute, since it is kept when the configuration moves.
fn folder(text: &Text) -> Value<PathBuf> {
    let wrong = |message: String| Diagnostic::error("E0314", text.span, message);
    if text.text.is_empty() || text.text.chars().any(char::is_control) {
        return Err(wrong(format!("`{}` is not a path of a folder", text.shown())));
    }
    let path = Path::new(&text.text);
    if !path.is_absolute() {
        let message = format!("the folder `{}` is not absolute", text.shown());
        let help = format!("write `/var/cache/doorman/{}`", text.shown().trim_start_matches("./"));
        return Err(wrong(message).help(help));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        let message = format!("`{}` has a `..` in it", text.shown());
        return Err(wrong(message).help("write where it leads to"));
    }
    let dir: PathBuf = path.components().collect();
    if dir.parent().is_none() {
        let message = "a store cannot have the whole file system".to_owned();
        return Err(wrong(message).help("write a folder of its own, such as /var/cache/doorman"));
    }
    Ok(Spanned::new(dir, text.span))
}
