//! Listeners of the plan and the certificates they answer with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, PoisonError};

use doorman_config::{
    Config, HostPattern, Listener, Protocol, Scheme, Site, SocketAddress, TlsSource, TlsVersion,
    Transport,
};
use doorman_net::tls::{
    Certificate, CertificateName, CertificateSource, Certificates, LocalCa, MinimumVersion,
    ServerTls, ServerTlsOptions,
};

use super::compile::{self, Faults, code};
use super::{Ground, Keeping, PlanListener};

pub(super) fn listeners(
    config: &Config,
    ground: &Ground,
    faults: &mut Faults,
) -> Vec<PlanListener> {
    let mut listeners = Vec::new();
    for listener in &config.listeners {
        let tls = match listener.transport {
            Transport::Plain => None,
            Transport::Tls => match server_tls(config, ground, listener, faults) {
                Some(tls) => Some(Arc::new(tls)),
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
    faults: &mut Faults,
) -> Option<ServerTls> {
    let mut sources = Vec::new();
    let mut default = Vec::new();
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
        add_site(ground, listener, site, &hosts, faults, &mut sources, &mut default);
    }
    if faults.list[before..].iter().any(doorman_config::Diagnostic::is_error) {
        return None;
    }
    let certificates = Arc::new(Certificates::new(sources, default, Arc::new(ground.clock)));
    let options = ServerTlsOptions {
        realm: listener.address.to_string(),
        minimum: minimum(config, listener),
        alpn: alpn(&listener.protocols),
        record_bytes_max: None,
        clock: Arc::new(ground.clock),
    };
    let span = listener.span;
    let built = ServerTls::new(options, certificates, &ground.tickets)
        .map_err(|error| error.to_string())
        .and_then(|tls| with_sites(config, listener, tls));
    match (built, span) {
        (Ok(tls), _) => Some(tls),
        (Err(error), Some(span)) => {
            faults.error(code::CERTIFICATE, span, error);
            None
        }
        (Err(_), None) => None,
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

const fn version(version: TlsVersion) -> MinimumVersion {
    match version {
        TlsVersion::V1_2 => MinimumVersion::Tls12,
        TlsVersion::V1_3 => MinimumVersion::Tls13,
    }
}

fn alpn(protocols: &[Protocol]) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    // HTTP/2 first: a client that offers both is better served by it.
    if protocols.contains(&Protocol::H2) {
        names.push(b"h2".to_vec());
    }
    if protocols.contains(&Protocol::H1) {
        names.push(b"http/1.1".to_vec());
    }
    names
}

/// Registers what each site says of versions and protocols, if any of them says something.
fn with_sites(
    config: &Config,
    listener: &Listener,
    mut tls: ServerTls,
) -> Result<ServerTls, String> {
    let differs =
        sites_of(config, listener).filter_map(|(_, site, _)| site.tls.as_ref()).any(|tls| {
            tls.options.alpn.is_some()
                || version(tls.options.min.value) != minimum(config, listener)
        });
    if !differs {
        return Ok(tls);
    }
    for (_, site, host) in sites_of(config, listener) {
        let (Some(name), Some(options)) = (certificate_name(host), site.tls.as_ref()) else {
            continue;
        };
        let protocols =
            options.options.alpn.as_ref().map_or(&listener.protocols, |alpn| &alpn.value);
        tls = tls
            .with_site(&[name], version(options.options.min.value), alpn(protocols))
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
            for pair in files {
                let (chain, key) = (&pair.value.certificate, &pair.value.key);
                let certificate = match Certificate::load(&chain.value, &key.value) {
                    Ok(certificate) => Arc::new(certificate),
                    Err(error) => {
                        faults.error(code::CERTIFICATE, pair.span, error.to_string());
                        continue;
                    }
                };
                if files.len() == 1 {
                    for warning in certificate.warnings(&names, ground.now()) {
                        faults.warning(code::CERTIFICATE_WARNING, pair.span, warning.to_string());
                    }
                }
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
