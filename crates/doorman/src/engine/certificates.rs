//! Automatic certificates, from the configuration to the thread that keeps them.

use std::sync::Arc;

use doorman_config::{AcmeChallenge, AcmeDns, AcmeDnsWay, CertificateKey, Config};
use doorman_control::acme::{
    self, Challenge, DEFAULT_DIRECTORY, Demand, Dns, DnsWay, Issuer, Keeper, KeyAlgorithm,
    KeyChoice, Settings, Store, UpdateServer,
};
use doorman_proxy::{Ground, automatic_names, demanded_names};

/// Puts the certificates that are on disk where a plan finds them, before it is made: a restart serves at once, whether
/// an authority can be reached or not.
pub(super) fn fill(config: &Config, ground: &Ground) {
    let names = automatic_names(config);
    if !names.is_empty() {
        acme::fill(&Store::new(&ground.data), &ground.keyring, &names);
    }
}

/// Starts the keeper if there is something to keep.
pub(super) fn start(config: &Config, ground: &Ground) -> Option<Keeper> {
    let settings = settings(config);
    if settings.names.is_empty() && settings.demands.is_empty() {
        return None;
    }
    let store = Store::new(&ground.data);
    match Keeper::start(store, Arc::clone(&ground.keyring), ground.clock, settings) {
        Ok(keeper) => Some(keeper),
        Err(error) => {
            tracing::error!("certificates cannot be kept: {error}");
            None
        }
    }
}

/// What a configuration wants to be kept.
pub(super) fn settings(config: &Config) -> Settings {
    let global = &config.global;
    let mut issuers: Vec<Issuer> = global.acme.iter().map(issuer).collect();
    if issuers.is_empty() {
        issuers.push(Issuer::usual(DEFAULT_DIRECTORY));
    }
    Settings {
        email: global.email.as_ref().map(|email| email.value.clone()),
        issuers,
        names: automatic_names(config),
        demands: demanded_names(config)
            .into_iter()
            .map(|(under, ask)| Demand { under, ask })
            .collect(),
    }
}

fn issuer(acme: &doorman_config::Acme) -> Issuer {
    let challenge = |challenge: &AcmeChallenge| match challenge {
        AcmeChallenge::Http => Challenge::Http,
        AcmeChallenge::TlsAlpn => Challenge::TlsAlpn,
        AcmeChallenge::Dns => Challenge::Dns,
    };
    Issuer {
        directory: acme.directory.value.clone(),
        ca: acme.ca.as_ref().map(|ca| ca.value.clone()),
        challenges: acme.challenges.value.iter().map(challenge).collect(),
        dns: acme.dns.as_ref().map(|dns| self::dns(&dns.value)),
        profile: acme.profile.as_ref().map(|profile| profile.value.clone()),
        external_account: acme
            .eab
            .as_ref()
            .map(|eab| (eab.value.id.clone(), eab.value.key.clone())),
        key: match acme.key.value {
            CertificateKey::P256 => KeyChoice::P256,
            CertificateKey::P384 => KeyChoice::P384,
            CertificateKey::Rsa2048 => KeyChoice::Rsa2048,
            CertificateKey::Rsa4096 => KeyChoice::Rsa4096,
        },
    }
}

fn dns(dns: &AcmeDns) -> Dns {
    let way = match &dns.way {
        AcmeDnsWay::Exec(program) => DnsWay::Exec(program.clone()),
        AcmeDnsWay::Update(address, key) => DnsWay::Update(UpdateServer {
            address: *address,
            key_name: key.name.clone(),
            algorithm: if key.is_sha512 {
                KeyAlgorithm::HmacSha512
            } else {
                KeyAlgorithm::HmacSha256
            },
            secret: key.secret.clone(),
        }),
    };
    Dns { way, wait: dns.wait.value }
}
