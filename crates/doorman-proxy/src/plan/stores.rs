//! The stores of a process: the same for every plan that names them, as long as one is held.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use doorman_cache::KeySeed;
use doorman_cache::evict::Method;
use doorman_config::{Evict, Store as Written};
use doorman_http::Now;
use doorman_net::seal;
use doorman_store::disk::{self, Worker};
use doorman_store::{Settings, Store, WeakOwner};

use super::Keeping;
use super::compile::{Faults, code};

/// The stores that are known.
#[derive(Default)]
pub(super) struct Stores(Mutex<HashMap<String, Known>>);

struct Known {
    store: Weak<Store>,
    /// Where its disk tier is.
    directory: Option<PathBuf>,
    /// What wants threads and has none yet. They go with a store that no plan has held.
    workers: Vec<Worker>,
}

/// A thread that a store wants: for [`Worker::run`].
pub struct StoreWorker {
    /// The name of the store.
    pub store: Box<str>,
    /// Whom the disk tier asks about what is in it.
    pub owner: WeakOwner,
    /// What is to be run.
    pub worker: Worker,
}

/// How a store makes room.
pub(super) const fn method(written: &Written) -> Method {
    match written.evict.value {
        Evict::S3Fifo => Method::S3Fifo,
        Evict::Lru => Method::Lru,
    }
}

impl Stores {
    /// The store of that name, opened at the first call. Its bounds are given to it when a plan comes
    /// into force; one whose disk tier is somewhere else now is another store. Where nothing is to be
    /// made for good, it has no disk tier.
    pub(super) fn store(
        &self,
        written: &Written,
        keeping: Keeping,
        now: Now,
        faults: &mut Faults,
    ) -> Option<Arc<Store>> {
        let disk = written.disk.as_ref().filter(|_| keeping == Keeping::Disk);
        let directory = disk.map(|disk| disk.value.dir.clone());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = known
            .get(&written.name.value)
            .filter(|known| known.directory == directory)
            .and_then(|known| known.store.upgrade())
        {
            return Some(store);
        }
        known.retain(|_, known| known.store.strong_count() > 0);
        let settings = Settings {
            name: written.name.value.as_str().into(),
            memory: written.memory.value,
            max_object: written.max_object.value,
            evict: method(written),
        };
        let (store, workers) = match disk {
            None => match seal::secret_words() {
                Ok([low, high]) => (Store::open(settings, KeySeed::new(low, high)), Vec::new()),
                Err(error) => {
                    faults.error(code::SEAL_KEY, written.span, error.to_string());
                    return None;
                }
            },
            Some(disk) => {
                let on =
                    disk::Settings { directory: disk.value.dir.clone(), bytes: disk.value.bytes };
                match Store::open_with_disk(settings, &on, now) {
                    Ok(opened) => opened,
                    Err(error) => {
                        faults.error(code::STORE, disk.span, error.to_string());
                        return None;
                    }
                }
            }
        };
        let entry = Known { store: Arc::downgrade(&store), directory, workers };
        known.insert(written.name.value.clone(), entry);
        Some(store)
    }

    /// What wants threads since the last call.
    pub(super) fn take_workers(&self) -> Vec<StoreWorker> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::new();
        for (name, known) in known.iter_mut() {
            taken.extend(known.workers.drain(..).map(|worker| StoreWorker {
                store: name.as_str().into(),
                owner: WeakOwner::new(known.store.clone()),
                worker,
            }));
        }
        taken
    }
}
