//! What the scenarios of caches need beside others: an empty cache for each run, all objects in it before the
//! meters are read, and the proof that the load was answered by it alone. A run in which the origin was asked
//! for anything counts for nothing.

use std::{
    fmt::Write as _,
    fs,
    io::{ErrorKind, Read, Write as _},
};

use crate::{
    bench::{
        contender::Ground,
        scenario::{Scenario, Way},
    },
    failure::{During, Failure},
    wire::{self, Answer, Dialer},
};

/// Name of the folder of whoever runs, in the guard's.
pub(super) const CACHE: &str = "cache";
/// How often all objects are asked for until they are all there: a tier may take what comes too fast for it
/// only the next time.
pub(super) const PASSES_MAX: u32 = 20;
/// Longest answer of the origin about itself.
const ASKED_BYTES_MAX: u64 = 4096;

impl Ground {
    /// What an earlier run kept would be another start than its peers have.
    pub(super) fn empty_cache(&self) -> Result<(), Failure> {
        let folder = self.path(CACHE);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => fs::create_dir_all(&folder),
        }
        .during("emptying the cache")
    }

    /// Asks for every object until a whole pass needs no origin.
    pub(super) fn fill_cache(&self, scenario: &Scenario) -> Result<(), Failure> {
        match scenario.way {
            Way::Cache(_) => {}
            Way::CodedHit(coded) => return self.fill_with_coded(scenario, coded),
            _ => return Ok(()),
        }
        let mut stream = Dialer::new(self.ports.plain)?.plain()?;
        let right = Answer { status: 200, body_bytes: scenario.body_bytes };
        let mut missing = 0;
        for _ in 0..PASSES_MAX {
            let before = self.asked()?;
            for object in 0..scenario.objects() {
                let answer = wire::ask(&mut stream, &self.request(scenario, object))
                    .during("filling the cache")?;
                if answer != right {
                    let path = scenario.path(object);
                    let what = format!("{path} has the answer {answer:?} and not {right:?}");
                    return Err(Failure::new(what));
                }
            }
            missing = self.asked()? - before;
            if missing == 0 {
                return Ok(());
            }
        }
        let all = scenario.objects();
        Err(Failure::new(format!("{missing} of {all} objects do not stay in its cache")))
    }

    /// The load asks by the same words, so that they are the same key for every cache.
    fn request(&self, scenario: &Scenario, object: u32) -> Vec<u8> {
        let (path, port) = (scenario.path(object), self.ports.plain);
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n").into_bytes()
    }

    /// How often the origin was asked for a body so far.
    pub(super) fn asked(&self) -> Result<u64, Failure> {
        let mut stream = Dialer::new(self.origin_port)?.plain()?;
        stream.write_all(b"GET /asked HTTP/1.1\r\nHost: origin\r\n\r\n")?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut text = String::new();
        stream.take(ASKED_BYTES_MAX).read_to_string(&mut text).during("asking the origin")?;
        let count = text.split("\r\n\r\n").nth(1).and_then(|body| body.trim().parse().ok());
        count.ok_or_else(|| Failure::new(format!("the origin does not say its count: {text}")))
    }

    /// wrk's script that asks for all objects in turn, each connection where the one before it stopped. In
    /// this order a cache in memory that holds a part of them never has the next one.
    pub(super) fn tour(&self, scenario: &Scenario) -> Result<String, Failure> {
        let mut text = "local requests, last = {}, 0\nfunction init(args)\n".to_owned();
        let count = scenario.objects();
        // Writing to a string can't fail.
        let _ = write!(
            text,
            "  for object = 0, {} do\n    requests[object + 1] = wrk.format(\"GET\", \"/c/{}/\" .. object)\n  \
             end\nend\nfunction request()\n  last = last % {count} + 1\n  return requests[last]\nend\n",
            count - 1,
            scenario.body_bytes,
        );
        let script = self.path("tour.lua");
        fs::write(&script, text).during("writing the tour's script")?;
        Ok(script)
    }
}
