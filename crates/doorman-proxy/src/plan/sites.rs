//! Listeners of the plan and the certificates they answer with.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, PoisonError};

use doorman_config::{
    self as config, Config, HostPattern, Listener, Ocsp, Protocol, Scheme, Site, SocketAddress,
    TlsPolicy as Policy, TlsSource, TlsVersion, Transport,
};
use doorman_net::tls::{
    Certificate, CertificateName, CertificateSource, Certificates, EarlyData, LocalCa,
    MinimumVersion, ServerTls, ServerTlsOptions, SiteClients, SiteTlsOptions, TlsPolicy,
};

use super::compile::{self, Faults, code};
use super::{Ground, Keeping, PlanListener};

/// The names that get their certificates by themselves, in file order, each once.
#[must_use]
pub fn automatic_names(config: &Config) -> Vec<CertificateName> {
    let mut names = Vec::new();
    let mut seen = HashSet::new();
    for site in &config.sites {
        let secure = site.addresses.iter().filter(|address| address.value.scheme == Scheme::Https);
        for address in secure {
            let host = &address.value.host;
            let name = certificate_name(host).filter(|_| is_automatic(site, host));
            names.extend(name.filter(|name| seen.insert(name.clone())));
        }
    }
    names
}

/// The names that clients may ask for (below this one, or all), and whom to ask whether each may have a certificate.
#[must_use]
pub fn demanded_names(config: &Config) -> Vec<(Option<String>, String)> {
    let mut found = Vec::new();
    for site in &config.sites {
        let asked = site.tls.as_ref().and_then(|tls| tls.options.on_demand.as_ref());
        let Some(url) = asked else { continue };
        for address in &site.addresses {
            match &address.value.host {
                HostPattern::Wildcard(under) => {
                    found.push((Some(under.clone()), url.value.clone()))
                }
                HostPattern::Any => found.push((None, url.value.clone())),
                HostPattern::Name(_) | HostPattern::Ip(_) => {}
            }
        }
    }
    found
}

/// Whether any name gets its certificate by itself.
pub(super) fn has_automatic(config: &Config) -> bool {
    !demanded_names(config).is_empty()
        || config.sites.iter().any(|site| {
            site.addresses.iter().any(|address| {
                address.value.scheme == Scheme::Https && is_automatic(site, &address.value.host)
            })
        })
}

/// Whether a host of a site gets its certificate by itself. Where the site does not say so in so many words, hosts that
/// no public authority would certify are left to the local one.
fn is_automatic(site: &Site, host: &HostPattern) -> bool {
    site.tls.as_ref().is_some_and(|tls| {
        let on_demand = tls.options.on_demand.is_some();
        tls.source.value == TlsSource::Auto
            && (tls.source.span.is_some() || !host.is_internal())
            && (!on_demand || matches!(host, HostPattern::Name(_)))
    })
}

pub(super) fn listeners(
    config: &Config,
    ground: &Ground,
    clients: &[Option<SiteClients>],
    faults: &mut Faults,
) -> Vec<PlanListener> {
    let mut listeners = Vec::new();
    for listener in &config.listeners {
        let tls = match listener.transport {
            Transport::Plain => None,
            Transport::Tls => match server_tls(config, ground, listener, clients, faults) {
                Some((tls, stapled)) => Some((Arc::new(tls), stapled)),
                None => continue,
            },
        };
        listeners.push(compile::listener(config, ground, listener, tls));
    }
    listeners
}

/// Sites that a listener serves, with the hosts that lead to them.
pub(super) fn sites_of<'a>(
    config: &'a Config,
    listener: &'a Listener,
) -> impl Iterator<Item = (usize, &'a Site, &'a HostPattern)> {
    config.sites.iter().enumerate().flat_map(move |(index, site)| {
        site.addresses
            .iter()
            .filter(move |address| {
                let secure = address.value.scheme == Scheme::Https;
                let fits = secure == (listener.transport == Transport::Tls);
                // A Unix socket has no port: it serves every site of its transport.
                let port = listener.address.port();
                fits && port.is_none_or(|port| port == address.value.port)
            })
            .map(move |address| (index, site, &address.value.host))
    })
}

fn server_tls(
    config: &Config,
    ground: &Ground,
    listener: &Listener,
    clients: &[Option<SiteClients>],
    faults: &mut Faults,
) -> Option<(ServerTls, Vec<CertificateSource>)> {
    let mut sources = Vec::new();
    let mut default = Vec::new();
    let mut stapled = Vec::new();
    let before = faults.list.len();
    let mut seen = Vec::new();
    for (index, site, _) in sites_of(config, listener) {
        if seen.contains(&index) {
            continue;
        }
        seen.push(index);
        let hosts: Vec<&HostPattern> = sites_of(config, listener)
            .filter(|(i, ..)| *i == index)
            .map(|(.., host)| host)
            .collect();
        let known = (sources.len(), default.len());
        add_site(ground, listener, site, &hosts, faults, &mut sources, &mut default);
        if site.tls.as_ref().is_some_and(|tls| tls.options.ocsp.value == Ocsp::On) {
            let own = sources.iter().skip(known.0).cloned();
            let open = default.iter().skip(known.1).map(|certificate| {
                let certificate = Arc::clone(certificate);
                CertificateSource::Loaded { certificate, names: Vec::new() }
            });
            stapled.extend(own.chain(open).filter(CertificateSource::may_be_stapled));
        }
    }
    if faults.list[before..].iter().any(doorman_config::Diagnostic::is_error) {
        return None;
    }
    warn_of_addresses(config, listener, &sources, faults);
    let certificates = Arc::new(Certificates::new(sources, default, Arc::new(ground.clock)));
    // Clients that ask for no name that is known here get what the site for every host has.
    let any = sites_of(config, listener)
        .find(|(.., host)| **host == HostPattern::Any)
        .and_then(|(_, site, _)| site.tls.as_ref());
    let options = ServerTlsOptions {
        realm: listener.address.to_string(),
        minimum: minimum(config, listener),
        alpn: alpn(&listener.protocols),
        policy: match policy(
            &any.map_or(&config.global.tls_policy, |tls| &tls.options.policy).value,
        ) {
            Ok(policy) => policy,
            Err(error) => {
                let span = sites_of(config, listener).next().map(|(_, site, _)| site.span);
                if let Some(span) = span {
                    faults.error(code::CERTIFICATE, span, error);
                }
                return None;
            }
        },
        clients: sites_of(config, listener)
            .find(|(.., host)| **host == HostPattern::Any)
            .and_then(|(index, ..)| clients.get(index).cloned().flatten()),
        early_data: sites_of(config, listener)
            .find(|(.., host)| **host == HostPattern::Any)
            .and_then(|(_, site, _)| early_data(config, listener, site)),
        record_bytes_max: None,
        clock: Arc::new(ground.clock),
    };
    let span = listener.span;
    let built = ServerTls::new(options, certificates, &ground.tickets)
        .map_err(|error| error.to_string())
        .and_then(|tls| with_sites(config, listener, clients, tls));
    match (built, span) {
        (Ok(tls), _) if !has_automatic(config) => Some((tls, stapled)),
        (Ok(tls), _) => Some((tls.with_proofs(Arc::clone(ground.keyring.proofs())), stapled)),
        (Err(error), Some(span)) => {
            faults.error(code::CERTIFICATE, span, error);
            None
        }
        (Err(_), None) => None,
    }
}

/// Clients that ask for an address send no name (RFC 6066 section 3), so a port has one certificate for them.
fn warn_of_addresses(
    config: &Config,
    listener: &Listener,
    sources: &[CertificateSource],
    faults: &mut Faults,
) {
    let mut kept = sources.iter().filter_map(|source| match source {
        CertificateSource::Kept { name: CertificateName::Address(address), .. } => Some(address),
        _ => None,
    });
    if let (Some(first), Some(second)) = (kept.next(), kept.next())
        && let Some((_, site, _)) = sites_of(config, listener)
            .find(|(.., host)| matches!(host, HostPattern::Ip(address) if address == second))
    {
        let message = format!(
            "clients that ask for {second} on this port are shown the certificate of {first}: they send no name to choose by"
        );
        faults.warning(code::CERTIFICATE_WARNING, site.span, message);
    }
}

/// The least version that any site of the listener takes; sites that want more say so themselves.
fn minimum(config: &Config, listener: &Listener) -> MinimumVersion {
    let least = sites_of(config, listener)
        .filter_map(|(_, site, _)| site.tls.as_ref())
        .map(|tls| tls.options.min.value)
        .min();
    version(least.unwrap_or(TlsVersion::V1_2))
}

fn policy(written: &Policy) -> Result<TlsPolicy, String> {
    TlsPolicy::new(version(written.min), &written.suites, &written.groups)
        .map_err(|error| error.to_string())
}

const fn version(version: TlsVersion) -> MinimumVersion {
    match version {
        TlsVersion::V1_2 => MinimumVersion::Tls12,
        TlsVersion::V1_3 => MinimumVersion::Tls13,
    }
}

fn alpn(protocols: &[Protocol]) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    if protocols.contains(&Protocol::H3) {
        names.push(b"h3".to_vec());
    }
    // HTTP/2 first: a client that offers both is better served by it.
    if protocols.contains(&Protocol::H2) {
        names.push(b"h2".to_vec());
    }
    if protocols.contains(&Protocol::H1) {
        names.push(b"http/1.1".to_vec());
    }
    names
}

/// Whether requests of a site may come before their client's handshake has ended.
pub(super) fn takes_early_data(site: &Site) -> bool {
    site.tls.as_ref().is_some_and(|tls| tls.options.early_data.value == config::EarlyData::Safe)
}

/// What clients that come back to a site go by in their first packets.
fn early_data(config: &Config, listener: &Listener, site: &Site) -> Option<EarlyData> {
    let settings = compile::settings(config, &listener.protocols);
    let (streams, head_bytes) = (settings.h3_streams, settings.limits.head_bytes);
    takes_early_data(site).then_some(EarlyData { streams, head_bytes })
}

/// Registers what each site says of versions, protocols, early data and clients, if any of them says something.
fn with_sites(
    config: &Config,
    listener: &Listener,
    clients: &[Option<SiteClients>],
    mut tls: ServerTls,
) -> Result<ServerTls, String> {
    let differs =
        sites_of(config, listener).filter_map(|(_, site, _)| site.tls.as_ref()).any(|tls| {
            tls.options.alpn.is_some()
                || tls.options.client_auth.is_some()
                || tls.options.early_data.value != config::EarlyData::Off
                || tls.options.policy.value != config.global.tls_policy.value
                || version(tls.options.min.value) != minimum(config, listener)
        });
    if !differs {
        return Ok(tls);
    }
    for (index, site, host) in sites_of(config, listener) {
        let (Some(name), Some(options)) = (certificate_name(host), site.tls.as_ref()) else {
            continue;
        };
        let protocols =
            options.options.alpn.as_ref().map_or(&listener.protocols, |alpn| &alpn.value);
        tls = tls
            .with_site(
                &[name],
                SiteTlsOptions {
                    minimum: version(options.options.min.value),
                    alpn: alpn(protocols),
                    policy: policy(&options.options.policy.value)?,
                    clients: clients.get(index).cloned().flatten(),
                    early_data: early_data(config, listener, site),
                },
            )
            .map_err(|error| error.to_string())?;
    }
    Ok(tls)
}

fn certificate_name(host: &HostPattern) -> Option<CertificateName> {
    match host {
        HostPattern::Any => None,
        other => CertificateName::parse(&other.to_string()).ok(),
    }
}

fn add_site(
    ground: &Ground,
    listener: &Listener,
    site: &Site,
    hosts: &[&HostPattern],
    faults: &mut Faults,
    sources: &mut Vec<CertificateSource>,
    default: &mut Vec<Arc<Certificate>>,
) {
    let Some(tls) = &site.tls else { return };
    let names: Vec<CertificateName> =
        hosts.iter().filter_map(|host| certificate_name(host)).collect();
    let any = hosts.iter().any(|host| **host == HostPattern::Any);
    match &tls.source.value {
        TlsSource::Auto => {
            let (kept, local): (Vec<&HostPattern>, Vec<&HostPattern>) =
                hosts.iter().copied().partition(|host| is_automatic(site, host));
            if tls.options.on_demand.is_some() {
                for host in &local {
                    let under = match host {
                        HostPattern::Wildcard(under) => Some(under.as_str().into()),
                        HostPattern::Any => None,
                        HostPattern::Name(_) | HostPattern::Ip(_) => continue,
                    };
                    let from = Arc::clone(ground.keyring.on_demand());
                    sources.push(CertificateSource::OnDemand { from, under });
                }
                for name in kept.into_iter().filter_map(certificate_name) {
                    let slot = ground.keyring.slot(&name);
                    sources.push(CertificateSource::Kept { slot, name });
                }
                return;
            }
            for name in kept.into_iter().filter_map(certificate_name) {
                let slot = ground.keyring.slot(&name);
                sources.push(CertificateSource::Kept { slot, name });
            }
            let names: Vec<_> = local.into_iter().filter_map(certificate_name).collect();
            if !names.is_empty()
                && let Some(authority) = local_ca(ground, site, faults)
            {
                sources.push(CertificateSource::Local { authority, names });
            }
        }
        TlsSource::Internal => {
            let Some(authority) = local_ca(ground, site, faults) else { return };
            if any {
                let addresses = own_addresses(listener);
                let allow = Arc::new(|_: &str| true);
                sources.push(CertificateSource::LocalAny { authority, allow, addresses });
            } else {
                sources.push(CertificateSource::Local { authority, names });
            }
        }
        TlsSource::Files(files) => {
            let mut covered: Vec<CertificateName> = Vec::new();
            for pair in files {
                let (chain, key) = (&pair.value.certificate, &pair.value.key);
                let paths = [chain.value.as_path(), key.value.as_path()];
                let loaded = ground.material("certificate", &paths, faults, || {
                    Certificate::load(&chain.value, &key.value)
                });
                let certificate = match loaded {
                    Ok(certificate) => certificate,
                    Err(error) => {
                        faults.error(code::CERTIFICATE, pair.span, error.to_string());
                        continue;
                    }
                };
                // Of several, each need not cover every name: that one does is looked at below.
                let own = if files.len() == 1 { names.as_slice() } else { &[] };
                for warning in certificate.warnings(own, ground.now()) {
                    faults.warning(code::CERTIFICATE_WARNING, pair.span, warning.to_string());
                }
                compile::warn_of_open_key(key, faults);
                covered.extend(certificate.facts().names.iter().cloned());
                if any {
                    default.push(Arc::clone(&certificate));
                }
                // One pair answers for the site's names whatever its own say; of several, each
                // answers for the names in it.
                let names = if files.len() == 1 { names.clone() } else { Vec::new() };
                if !(any && names.is_empty() && files.len() == 1) {
                    sources.push(CertificateSource::Loaded { certificate, names });
                }
            }
            let is_bare = |name: &&CertificateName| !covered.iter().any(|own| own.covers(name));
            let span = files.first().map_or(site.span, |pair| pair.span);
            for name in names.iter().filter(is_bare).filter(|_| files.len() > 1) {
                let message = format!("none of the site's certificates is valid for {name}");
                faults.warning(code::CERTIFICATE_WARNING, span, message);
            }
        }
    }
}

/// Addresses under which a listener for every host is reached by clients that send no name.
fn own_addresses(listener: &Listener) -> Vec<IpAddr> {
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    if let SocketAddress::Ip(address) = &listener.address
        && !address.ip().is_unspecified()
        && !addresses.contains(&address.ip())
    {
        addresses.push(address.ip());
    }
    addresses
}

/// The local CA, opened or made at the first need.
fn local_ca(ground: &Ground, site: &Site, faults: &mut Faults) -> Option<Arc<LocalCa>> {
    let mut authority = ground.authority.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(authority) = &*authority {
        return Some(Arc::clone(authority));
    }
    let folder = ground.data.join("ca");
    let opened = match ground.keeping {
        Keeping::Disk => LocalCa::open_or_create(&folder, ground.now()),
        Keeping::Nothing => LocalCa::open_or_imagine(&folder, ground.now()),
    };
    match opened {
        Ok(made) => Some(Arc::clone(authority.insert(Arc::new(made)))),
        Err(error) => {
            let span = site.tls.as_ref().and_then(|tls| tls.source.span).unwrap_or(site.span);
            faults.error(code::LOCAL_CA, span, error.to_string());
            None
        }
    }
}
