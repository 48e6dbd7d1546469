//! Random histories of one client after another, against a map.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use doorman_cache::{NotStored, prefix, site};
use doorman_store::{Form, Found, How, Kin, Led, Object, Purge, Store};
use proptest::prelude::*;

use crate::kit::{Answer, Client, at, meta, seed, store_with, whole};

const URLS: [&str; 5] = [
    "http://a.example/",
    "http://a.example/x",
    "http://a.example/x/y",
    "http://a.example/xy",
    "http://b.example/x",
];
const TAGS: [&str; 2] = ["one", "two"];

#[derive(Clone, Debug)]
enum Step {
    /// Fetched, and stored if the body comes whole.
    Fetch {
        url: usize,
        user: usize,
        tag: usize,
        is_whole: bool,
    },
    /// What is there still holds.
    Validate {
        url: usize,
        user: usize,
    },
    Refuse {
        url: usize,
        user: usize,
    },
    /// Another form of what is there is made, or a better one.
    Make {
        url: usize,
        user: usize,
        form: u128,
        end: End,
    },
    Purge {
        what: What,
        is_soft: bool,
    },
}

#[derive(Clone, Copy, Debug)]
enum End {
    Whole,
    Unkept,
    Refused,
    Dropped,
}

#[derive(Clone, Debug)]
enum What {
    Url(usize),
    Below(usize),
    Site(usize),
    Tag(usize),
    All,
}

/// What is stored for a user and a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    body: Vec<u8>,
    tag: usize,
    is_purged: bool,
    /// What there is of each form: `None` if it is refused, with whether it is as good as can be.
    forms: BTreeMap<u128, Option<(Vec<u8>, bool)>>,
}

fn step() -> impl Strategy<Value = Step> {
    let url = || 0..URLS.len();
    let what = prop_oneof![
        3 => url().prop_map(What::Url),
        2 => url().prop_map(What::Below),
        1 => url().prop_map(What::Site),
        2 => (0..TAGS.len()).prop_map(What::Tag),
        1 => Just(What::All),
    ];
    let end = prop_oneof![
        3 => Just(End::Whole),
        1 => Just(End::Unkept),
        1 => Just(End::Refused),
        1 => Just(End::Dropped),
    ];
    prop_oneof![
        6 => (url(), 0..3usize, 0..3u128, end).prop_map(
            |(url, user, form, end)| Step::Make { url, user, form, end }
        ),
        8 => (url(), 0..3usize, 0..TAGS.len(), prop::bool::weighted(0.8)).prop_map(
            |(url, user, tag, is_whole)| Step::Fetch { url, user, tag, is_whole }
        ),
        2 => (url(), 0..3usize).prop_map(|(url, user)| Step::Validate { url, user }),
        1 => (url(), 0..3usize).prop_map(|(url, user)| Step::Refuse { url, user }),
        3 => (what, any::<bool>()).prop_map(|(what, is_soft)| Step::Purge { what, is_soft }),
    ]
}

struct Both {
    store: Arc<Store>,
    model: BTreeMap<(usize, usize), Known>,
}

impl Both {
    fn client(&self, url: usize, user: usize) -> Client {
        Client::of(&self.store, URLS[url], &[("Cookie", &format!("user={user}"))])
    }

    fn run(&mut self, number: usize, step: &Step) {
        match *step {
            Step::Fetch { url, user, tag, is_whole } => {
                self.fetch(number, url, user, tag, is_whole)
            }
            Step::Validate { url, user } => {
                let client = self.client(url, user);
                let Some(old) = client.hit(&self.store) else { return };
                let lead = self.lead(&client, Some(Arc::clone(&old)));
                lead.freshen(&old, old.head().clone(), meta());
                self.model.entry((url, user)).and_modify(|known| known.is_purged = false);
            }
            Step::Refuse { url, user } => {
                let client = self.client(url, user);
                let lead = self.lead(&client, client.hit(&self.store));
                lead.refuse(NotStored::Private, Duration::ZERO, at(0));
            }
            Step::Make { url, user, form, end } => self.make(number, (url, user), form, end),
            Step::Purge { ref what, is_soft } => self.purge(what, is_soft),
        }
    }

    fn lead(&self, client: &Client, instead_of: Option<Arc<Object>>) -> doorman_store::Lead {
        let chooser = client.chooser();
        match self.store.lead(&client.key, &chooser, instead_of, Duration::ZERO, at(0)) {
            Led::Lead(lead) => lead,
            other => panic!("{other:?}"),
        }
    }

    fn fetch(&mut self, number: usize, url: usize, user: usize, tag: usize, is_whole: bool) {
        let client = self.client(url, user);
        let lead = self.lead(&client, client.hit(&self.store));
        let body = format!("{number} for {user} of {url}").into_bytes();
        let answer = Answer { vary: "Cookie", tags: vec![TAGS[tag]], ..Answer::default() };
        let mut filling = answer.fill(&client, lead, None).unwrap();
        filling.push(&body);
        if is_whole {
            filling.finish().unwrap();
            self.model
                .insert((url, user), Known { body, tag, is_purged: false, forms: BTreeMap::new() });
        }
    }

    fn make(&mut self, number: usize, (url, user): (usize, usize), form: u128, end: End) {
        let Some(object) = self.client(url, user).hit(&self.store) else { return };
        let Some(known) = self.model.get_mut(&(url, user)) else { panic!("only in the store") };
        let is_there = known.forms.contains_key(&form);
        let is_final =
            is_there && known.forms[&form].as_ref().is_none_or(|(_, is_final)| *is_final);
        let right = if is_there {
            assert!(self.store.make(&object, Form(form)).is_none());
            self.store.improve(&object, Form(form))
        } else {
            assert!(self.store.improve(&object, Form(form)).is_none());
            self.store.make(&object, Form(form))
        };
        assert_eq!(right.is_none(), is_final);
        let Some(mut making) = right else { return };
        let text = format!("form {form} of {number}").into_bytes();
        making.push(&text);
        match end {
            End::Whole => {
                making.finish(0).unwrap();
                known.forms.insert(form, Some((text, is_there)));
            }
            End::Unkept | End::Refused => {
                match end {
                    End::Unkept => making.finish_unkept(0),
                    _ => making.refuse(0),
                }
                let kept = known.forms.remove(&form).flatten();
                known.forms.insert(form, kept.map(|(text, _)| (text, true)));
            }
            End::Dropped => drop(making),
        }
    }

    fn purge(&mut self, what: &What, is_soft: bool) {
        let host = |url: usize| URLS[url].split('/').nth(2).unwrap();
        let key = self
            .client(
                match *what {
                    What::Url(url) => url,
                    _ => 0,
                },
                0,
            )
            .key;
        let bytes = match *what {
            What::Below(url) => prefix(URLS[url]).unwrap(),
            What::Site(url) => site(host(url)).unwrap(),
            _ => Vec::new(),
        };
        let purge = match *what {
            What::Url(_) => Purge::Url(&key),
            What::Below(_) | What::Site(_) => Purge::Below(&bytes),
            What::Tag(tag) => Purge::Tag(TAGS[tag].as_bytes()),
            What::All => Purge::All,
        };
        let purged = self.store.purge(&purge, if is_soft { How::Soft } else { How::Hard });
        let is_named = |url: usize, known: &Known| match *what {
            What::Url(other) => url == other,
            What::Below(other) => URLS[url].starts_with(URLS[other]),
            What::Site(other) => host(url) == host(other),
            What::Tag(tag) => known.tag == tag,
            What::All => true,
        };
        let named = self.model.iter().filter(|((url, _), known)| is_named(*url, known)).count();
        assert_eq!(purged.objects, named as u64);
        if is_soft {
            for ((url, _), known) in &mut self.model {
                known.is_purged |= is_named(*url, known);
            }
        } else {
            self.model.retain(|(url, _), known| !is_named(*url, known));
        }
    }

    fn compare(&self) {
        for url in 0..URLS.len() {
            for user in 0..3 {
                let found = match self.client(url, user).look(&self.store) {
                    Found::Hit(object) => Some(object),
                    _ => None,
                };
                let found = found.map(|object| {
                    let (body, is_purged) = (whole(&object), object.is_purged());
                    (object, body, is_purged)
                });
                let known = self.model.get(&(url, user));
                if let (Some((object, ..)), Some(known)) = (&found, known) {
                    compare_forms(object, known);
                }
                let found = found.map(|(_, body, is_purged)| (body, is_purged));
                assert_eq!(found, known.map(|known| (known.body.clone(), known.is_purged)));
            }
        }
        let stats = self.store.stats();
        assert_eq!((stats.objects, stats.fetches), (self.model.len() as u64, 0));
        let siblings = self.model.values().flat_map(|known| known.forms.values().flatten());
        assert_eq!(stats.siblings, siblings.count() as u64);
    }
}

fn compare_forms(object: &Arc<Object>, known: &Known) {
    for form in 0..3 {
        let is_same = match (object.sibling(Form(form)), known.forms.get(&form)) {
            (None, None) | (Some(Kin::Refused(_)), Some(None)) => true,
            (Some(Kin::Here(sibling)), Some(Some((text, _)))) => {
                sibling.whole().is_some_and(|whole| whole == text[..])
            }
            _ => false,
        };
        assert!(is_same, "form {form} of {known:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// With all keys in one bucket, too.
    #[test]
    fn histories_end_as_in_a_map(
        steps in prop::collection::vec(step(), 1..80),
        bits in prop_oneof![Just(0u32), Just(128)],
    ) {
        let store = store_with(1 << 20, 1 << 16, seed().narrowed(bits));
        let mut both = Both { store, model: BTreeMap::new() };
        for (number, step) in steps.iter().enumerate() {
            both.run(number, step);
            both.compare();
        }
        both.store.purge(&Purge::All, How::Hard);
        prop_assert_eq!(both.store.used(), 0);
    }
}
