//! Purges: what `doorman purge` asks for, and what it is told. The names of the fields are a public
//! contract.

use std::time::Duration;

use doorman_net::{Clock, within_deadline};
use doorman_store::disk::Settled;
use doorman_store::{How, Purge, TAG_LEN_MAX};
use serde::{Deserialize, Serialize};

use super::cache::{self, Wrong};
use crate::engine::Engine;

/// What was purged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    /// Whether it was made stale and not taken out.
    pub soft: bool,
    /// Responses in all stores.
    pub objects: u64,
    /// Their bytes, with content that is on disk only.
    pub bytes: u64,
    /// Whether it is certain that no crash brings back what was purged of disks; none: nothing was on
    /// disk.
    pub settled: Option<bool>,
    /// By store, those with nothing included.
    pub stores: Vec<DoneIn>,
}

/// What was purged in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DoneIn {
    /// The store.
    pub store: String,
    /// Responses.
    pub objects: u64,
    /// Their bytes, with content that is on disk only.
    pub bytes: u64,
}

/// A purge as a call asks for it: one of the first five.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// All responses for a URL; `https` where no scheme is written.
    url: Option<String>,
    /// All URLs that begin so.
    prefix: Option<String>,
    /// All responses with a tag.
    tag: Option<String>,
    /// All URLs of a host, on the port if one is written.
    site: Option<String>,
    /// Everything.
    #[serde(default)]
    all: bool,
    /// Make stale, do not take out.
    #[serde(default)]
    soft: bool,
    /// The only store that counts.
    store: Option<String>,
}

/// What is purged in every store.
#[derive(Debug, PartialEq, Eq)]
enum What<'a> {
    Url(&'a str),
    Below(Vec<u8>),
    Tag(&'a [u8]),
    All,
}

impl Asked {
    fn what(&self) -> Result<What<'_>, Wrong> {
        let named = [&self.url, &self.prefix, &self.tag, &self.site];
        if named.into_iter().flatten().count() + usize::from(self.all) != 1 {
            let why = "say one of `url`, `prefix`, `tag`, `site` and `all`";
            return Err(Wrong::Usage(why.to_owned()));
        }
        if let Some(url) = &self.url {
            return Ok(What::Url(url));
        }
        if let Some(text) = &self.prefix {
            return cache::prefix(text.strip_suffix('*').unwrap_or(text)).map(What::Below);
        }
        if let Some(tag) = &self.tag {
            if tag.is_empty() || tag.len() > TAG_LEN_MAX {
                return Err(Wrong::Usage(format!("a tag has 1 to {TAG_LEN_MAX} bytes")));
            }
            return Ok(What::Tag(tag.as_bytes()));
        }
        if let Some(host) = &self.site {
            let wrong = |error| Wrong::Usage(format!("`{host}` is not a host: {error}"));
            if host.is_empty() {
                return Err(Wrong::Usage("the site has no name".to_owned()));
            }
            return doorman_cache::site(host).map(What::Below).map_err(wrong);
        }
        Ok(What::All)
    }

    /// The purge in words, for the log.
    pub(super) fn words(&self) -> String {
        let named = [
            ("URL", &self.url),
            ("prefix", &self.prefix),
            ("tag", &self.tag),
            ("site", &self.site),
        ];
        let named = named.into_iter().find_map(|(word, text)| Some((word, text.as_ref()?)));
        let what = named.map_or("everything".to_owned(), |(word, text)| format!("{word} {text:?}"));
        let of = self.store.as_ref().map_or(String::new(), |store| format!(" of store {store:?}"));
        what + &of
    }
}

/// Purges. It takes as long as there are responses that match. What is given back beside becomes
/// whether disks know of it.
pub(super) fn purge(engine: &Engine, asked: &Asked) -> Result<(Done, Vec<Settled>), Wrong> {
    let plan = engine.plan();
    let what = asked.what()?;
    let how = if asked.soft { How::Soft } else { How::Hard };
    let mut done = Done { soft: asked.soft, ..Done::default() };
    if let What::Url(url) = &what {
        cache::check(url)?;
    }
    let mut settling = Vec::new();
    for store in cache::chosen(&plan, asked.store.as_deref())? {
        let mut here = DoneIn { store: store.name().to_owned(), ..DoneIn::default() };
        let mut purge = |what: &Purge<'_>| {
            let purged = store.purge(what, how);
            here.objects += purged.objects;
            here.bytes += purged.bytes;
            settling.extend(purged.settled);
        };
        match &what {
            What::Url(url) => {
                cache::keys(&plan, &store, url)?.iter().for_each(|key| purge(&Purge::Url(key)));
            }
            What::Below(prefix) => purge(&Purge::Below(prefix)),
            What::Tag(tag) => purge(&Purge::Tag(tag)),
            What::All => purge(&Purge::All),
        }
        done.objects += here.objects;
        done.bytes += here.bytes;
        done.stores.push(here);
    }
    Ok((done, settling))
}

/// How long a disk may take to be told of a purge before it is said that it is not.
const SETTLES_WITHIN: Duration = Duration::from_secs(10);

/// Waits until disks know of a purge.
pub(super) async fn settle(done: &mut Done, settling: Vec<Settled>, clock: Clock) {
    if settling.is_empty() {
        return;
    }
    let all = async {
        let mut is_settled = true;
        for settled in settling {
            is_settled &= settled.await;
        }
        is_settled
    };
    let is_settled = within_deadline(clock, SETTLES_WITHIN, all).await;
    done.settled = Some(is_settled.unwrap_or(false));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Asked {
        let fields = text.split(' ').filter_map(|field| field.split_once('='));
        let mut value = serde_json::json!({});
        for (name, text) in fields {
            value[name] = if text == "true" { true.into() } else { text.into() };
        }
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_is_purged() {
        let check = |text: &str, expect: What<'_>| {
            assert_eq!(asked(text).what().unwrap(), expect, "{text}");
        };
        check("url=a.test/x", What::Url("a.test/x"));
        check("prefix=http://A.test/x*", What::Below(b"a.test\0\0http\0/x".to_vec()));
        check("prefix=a.test/x", What::Below(b"a.test\0\0https\0/x".to_vec()));
        check("tag=one soft=true", What::Tag(b"one"));
        check("site=A.test", What::Below(b"a.test\0".to_vec()));
        check("site=a.test:81", What::Below(b"a.test\x0081\0".to_vec()));
        check("all=true store=web", What::All);
        for text in [
            "",
            "soft=true",
            "url=a.test tag=one",
            "tag=one all=true",
            "tag=",
            "site=",
            "site=a/b",
            "prefix=ftp://a/",
            "prefix=a.test/x/..*",
        ] {
            assert!(matches!(asked(text).what(), Err(Wrong::Usage(_))), "{text}");
        }
        let long = Asked { tag: Some("x".repeat(TAG_LEN_MAX + 1)), ..Asked::default() };
        assert!(long.what().is_err());
    }

    #[test]
    fn words_for_the_log() {
        assert_eq!(asked("tag=one").words(), "tag \"one\"");
        assert_eq!(asked("all=true store=web").words(), "everything of store \"web\"");
        assert_eq!(asked("url=a.test/\n").words(), "URL \"a.test/\\n\"");
    }
}
