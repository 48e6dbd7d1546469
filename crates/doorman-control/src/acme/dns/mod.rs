//! DNS-01 (RFC 8555 section 8.4): a TXT record shows that a name is ours, wildcards included.

mod alias;
mod hook;
mod update;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

use doorman_net::{Alarm, Clock};

use update::Change;
pub use update::{KeyAlgorithm, UpdateServer};

/// How records are changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// By whom.
    pub way: DnsWay,
    /// How long every server of the zone takes to learn of a change.
    pub wait: Duration,
}

/// Who changes records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsWay {
    /// A program of the operator's.
    Exec(PathBuf),
    /// The zone's own server.
    Update(UpdateServer),
}

/// A record that stands in the zone.
pub(super) struct Record {
    name: String,
    value: String,
}

impl Dns {
    /// Puts the proof for a name into its zone.
    pub(super) async fn add(
        &self,
        clock: Clock,
        host: &str,
        value: String,
    ) -> Result<Record, String> {
        let name = format!("_acme-challenge.{host}");
        // A program knows by itself where its records belong.
        let name = match &self.way {
            DnsWay::Exec(_) => name,
            DnsWay::Update(server) => {
                let target = alias::follow(server.address, clock, &name).await;
                if target != name {
                    tracing::debug!("{name} is an alias of {target}");
                }
                target
            }
        };
        let record = Record { name, value };
        self.change(clock, Change::Add, &record).await?;
        if !self.wait.is_zero() {
            let mut alarm = Alarm::new(clock);
            alarm.set(clock.instant() + self.wait);
            alarm.wait().await;
        }
        Ok(record)
    }

    /// Takes it out again. That it stays does no harm but to tidiness, so a failure is only told.
    pub(super) async fn remove(&self, clock: Clock, record: Record) {
        if let Err(why) = self.change(clock, Change::Remove, &record).await {
            tracing::warn!("the record {} stays in its zone: {why}", record.name);
        }
    }

    async fn change(&self, clock: Clock, change: Change, record: &Record) -> Result<(), String> {
        let Record { name, value } = record;
        match &self.way {
            DnsWay::Exec(program) => hook::run(program, clock, change, name, value).await,
            DnsWay::Update(server) => {
                let mut id = [0; 2];
                let _ = aws_lc_rs::rand::fill(&mut id);
                let id = u16::from_be_bytes(id);
                update::update(server, clock, id, change, name, value).await
            }
        }
    }
}
