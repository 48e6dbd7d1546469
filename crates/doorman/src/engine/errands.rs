//! The thread that runs errands, and fetches what is due: keys, and what OpenID providers say of themselves.
//!
//! One for the process, whatever the plan: what is open at once is bounded by where errands wait, so each begins when
//! it comes. It serves nobody, so that an answer of some megabytes that is read holds up no request.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use doorman_control::errand::{AskError, Asker, Question};
use doorman_net::{Alarm, Clock};
use doorman_proxy::{
    ErrandAnswer, ErrandError, ErrandMethod, Errands, Ground, Job, KeyNews, KeyRing, ProviderNews,
    ProviderRing,
};
use tokio::task::JoinSet;

/// The thread's handle.
pub(super) struct Runner {
    errands: Arc<Errands>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Runner {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives none.
    pub(super) fn start(ground: &Ground) -> std::io::Result<Self> {
        let (errands, clock) = (Arc::clone(&ground.errands), ground.clock);
        let (keys, providers) = (Arc::clone(&ground.keys), Arc::clone(&ground.providers));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let asked = Arc::clone(&errands);
        let thread = std::thread::Builder::new().name("errands".to_owned()).spawn(move || {
            runtime.block_on(run(&asked, &keys, &providers, clock));
            runtime.shutdown_timeout(Duration::ZERO);
        })?;
        Ok(Self { errands, thread: Mutex::new(Some(thread)) })
    }

    /// Ends the thread; what is under way is given up.
    pub(super) fn end(&self) {
        self.errands.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

async fn run(errands: &Arc<Errands>, keys: &Arc<KeyRing>, providers: &ProviderRing, clock: Clock) {
    let mut asker: Option<Arc<Asker>> = None;
    let mut works: JoinSet<()> = JoinSet::new();
    let mut alarm = Alarm::new(clock);
    loop {
        let (due, next_keys) = keys.due(clock.instant());
        for source in due {
            let errands = Arc::clone(errands);
            works.spawn(async move { tell(&source.fetch(&errands, clock).await) });
        }
        let (due, next_providers) = providers.due(clock.instant());
        for provider in due {
            let (errands, keys) = (Arc::clone(errands), Arc::clone(keys));
            works.spawn(async move {
                tell_of_provider(&provider.fetch(&errands, &keys, clock).await);
            });
        }
        match next_keys.into_iter().chain(next_providers).min() {
            Some(next) => alarm.set(next),
            None => alarm.clear(),
        }
        tokio::select! {
            job = errands.next() => {
                let Some(job) = job else { return };
                // Made for the first errand: most processes have none.
                match asker.as_ref().map_or_else(|| Asker::new(clock).map(Arc::new), |made| Ok(Arc::clone(made))) {
                    Ok(made) => {
                        asker = Some(Arc::clone(&made));
                        works.spawn(async move { do_one(&made, job).await });
                    }
                    Err(error) => job.done(Err(ErrandError::Unreachable(error.into()))),
                }
            }
            Some(done) = works.join_next(), if !works.is_empty() => {
                if let Err(error) = done {
                    tracing::error!("an errand failed: {error}");
                }
            }
            () = keys.rings() => {}
            () = providers.rings() => {}
            () = alarm.wait() => {}
        }
    }
}

async fn do_one(asker: &Asker, mut job: Job) {
    let errand = job.errand.clone();
    let question = Question {
        form: (errand.method == ErrandMethod::PostForm).then_some(errand.body),
        url: errand.url.into(),
        fields: errand.fields,
        most: errand.most,
        within: errand.within,
        tls: errand.tls,
    };
    let answer = tokio::select! {
        answer = asker.ask(question) => answer,
        () = job.abandoned() => return,
    };
    job.done(match answer {
        Ok(answer) => Ok(ErrandAnswer {
            status: answer.status,
            content_type: answer.content_type.map(Into::into),
            max_age: answer.max_age,
            body: answer.body,
        }),
        Err(AskError::Unreachable(why)) => Err(ErrandError::Unreachable(why.into())),
        Err(AskError::Timeout) => Err(ErrandError::Timeout),
        Err(AskError::TooLong) => Err(ErrandError::TooLong),
    });
}

fn tell(news: &KeyNews) {
    match news {
        KeyNews::Come(text) => tracing::info!("{text}"),
        KeyNews::Trouble(text) => tracing::warn!("{text}"),
        KeyNews::Same => {}
    }
}

fn tell_of_provider(news: &ProviderNews) {
    match news {
        ProviderNews::Come(text) => tracing::info!("{text}"),
        ProviderNews::Trouble(text) => tracing::warn!("{text}"),
        ProviderNews::Same => {}
    }
}
