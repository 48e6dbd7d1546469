//! Who may come: lists, files and databases of a route's `allow` and `deny`.

use std::path::Path;
use std::sync::Arc;

use doorman_config::{Config, Spanned, WhoList};
use doorman_route::access::{Access, Entry, Who};
use doorman_route::list::{ADDRESSES_BYTES_MAX, addresses};
use doorman_route::{AddressSet, AgentList, Countries, CountrySet, GEO_BYTES_MAX, Geo, Networks};

use super::Ground;
use super::compile::{self, Faults, code};
use crate::gate::PlanAccess;

/// The databases of `geo`.
pub(super) fn geo(config: &Config, ground: &Ground, faults: &mut Faults) -> Arc<Geo> {
    let Some(written) = &config.global.geo else { return Arc::default() };
    let mut geo = Geo::default();
    if let Some(file) = &written.country {
        geo.countries = material(ground, "countries", file, GEO_BYTES_MAX, faults, |bytes| {
            Countries::open(&bytes).map_err(|error| error.to_string())
        });
    }
    if let Some(file) = &written.asn {
        geo.networks = material(ground, "networks", file, GEO_BYTES_MAX, faults, |bytes| {
            Networks::open(&bytes).map_err(|error| error.to_string())
        });
    }
    Arc::new(geo)
}

/// What a file is made into, once for all plans until it changes.
pub(super) fn material<T: Send + Sync + 'static>(
    ground: &Ground,
    kind: &str,
    file: &Spanned<std::path::PathBuf>,
    bytes_max: usize,
    faults: &mut Faults,
    make: impl FnOnce(Vec<u8>) -> Result<T, String>,
) -> Option<Arc<T>> {
    let path: &Path = &file.value;
    let named = |error| format!("{}: {error}", path.display());
    let read = || compile::read(path, bytes_max as u64).and_then(make).map_err(named);
    match ground.material(kind, &[path], faults, read) {
        Ok(made) => Some(made),
        Err(error) => {
            faults.error(code::GUARD, file.span, error);
            None
        }
    }
}

/// The `allow` and `deny` of one block.
pub(super) fn access(
    written: &doorman_config::Access,
    geo: &Arc<Geo>,
    ground: &Ground,
    faults: &mut Faults,
) -> PlanAccess {
    let mut entries = |list: Option<&WhoList>| {
        list.map_or_else(Vec::new, |list| list_entries(list, geo, ground, faults))
    };
    let access =
        Access { deny: entries(written.deny.as_ref()), allow: entries(written.allow.as_ref()) };
    let status = |list: Option<&WhoList>| list.map_or(403, |list| list.status.value);
    PlanAccess {
        access,
        geo: Arc::clone(geo),
        statuses: (status(written.deny.as_ref()), status(written.allow.as_ref())),
    }
}

fn list_entries(list: &WhoList, geo: &Geo, ground: &Ground, faults: &mut Faults) -> Vec<Entry> {
    let mut entries = Vec::new();
    if !list.ranges.is_empty() {
        let set = compile::address_set(list.ranges.iter().map(|range| range.value));
        let name = match list.ranges.as_slice() {
            [one] => one.value.to_string(),
            [first, ..] => format!("{} and others", first.value),
            [] => String::new(),
        };
        entries.push(Entry { name: name.into(), who: Who::Addresses(Arc::new(set)) });
    }
    for file in &list.files {
        let set: Option<Arc<AddressSet>> =
            material(ground, "addresses", file, ADDRESSES_BYTES_MAX, faults, |bytes| {
                addresses(&bytes).map_err(|error| error.to_string())
            });
        if let Some(set) = set {
            let name = format!("file {}", file.value.display());
            entries.push(Entry { name: name.into(), who: Who::Addresses(set) });
        }
    }
    if let Some(first) = list.countries.first() {
        if geo.countries.is_none() {
            let text = "countries are known of a database only: name one with `geo { country FILE }` in `global`";
            faults.error(code::GUARD, first.span, text);
        }
        let codes: Vec<_> = list.countries.iter().map(|one| one.value.to_string()).collect();
        match CountrySet::new(codes.iter().map(String::as_str)) {
            Ok(set) => {
                let name = format!("country {}", codes.join(" "));
                entries.push(Entry { name: name.into(), who: Who::Countries(set) });
            }
            Err(error) => faults.error(code::GUARD, first.span, error.to_string()),
        }
    }
    if let Some(first) = list.networks.first() {
        if geo.networks.is_none() {
            let text = "networks are known of a database only: name one with `geo { asn FILE }` in `global`";
            faults.error(code::GUARD, first.span, text);
        }
        let numbers: Vec<_> = list.networks.iter().map(|one| one.value).collect();
        let words: Vec<_> = numbers.iter().map(u32::to_string).collect();
        let name = format!("asn {}", words.join(" "));
        entries.push(Entry { name: name.into(), who: Who::Networks(numbers.into()) });
    }
    for built_in in &list.lists {
        let word = built_in.value.word();
        match AgentList::built_in(word) {
            Some(agents) => {
                let name = format!("list {word}");
                entries.push(Entry { name: name.into(), who: Who::Agents(Arc::new(agents)) });
            }
            None => faults.error(code::GUARD, built_in.span, format!("there is no list `{word}`")),
        }
    }
    entries
}
