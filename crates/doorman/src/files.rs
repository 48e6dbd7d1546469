//! The file system and the environment as the configuration reads them.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use doorman_config::{
    Config, CredentialList, ErrorAction, FILE_BYTES_MAX, JwtKeys, Source, TlsSource,
};

/// Files, variables and secrets of this machine.
///
/// A secret named `N` is the content of a file `N` in the folder that `$DOORMAN_SECRETS` or
/// `$CREDENTIALS_DIRECTORY` (systemd) names, else in `/run/secrets`.
#[derive(Default)]
pub struct Files<'a> {
    noted: RefCell<Vec<PathBuf>>,
    look: Option<Look<'a>>,
}

/// Called for each file before it is read.
pub type Look<'a> = &'a dyn Fn(&Path);

impl<'a> Files<'a> {
    /// Files that somebody looks at before they are read.
    pub fn watched(look: Look<'a>) -> Self {
        Self { noted: RefCell::default(), look: Some(look) }
    }

    /// All that was looked at or looked for: files, and folders in which names were matched.
    pub fn noted(self) -> Vec<PathBuf> {
        self.noted.into_inner()
    }

    fn note(&self, path: &Path) {
        if let Some(look) = self.look {
            look(path);
        }
        self.noted.borrow_mut().push(path.to_owned());
    }
}

/// The files that a configuration names and that are read when its plan is made: pages, certificates
/// and keys, authorities, rules.
pub fn named(config: &Config) -> Vec<PathBuf> {
    let mut files = materials(config);
    for page in config.sites.iter().flat_map(|site| &site.routes).flat_map(pages) {
        files.push(page);
    }
    let routes = config.sites.iter().flat_map(|site| &site.routes);
    // Most routes have the line of their site or of a policy: its files are looked for once.
    let mut lines: Vec<&doorman_config::Waf> =
        routes.filter_map(|route| route.options.waf.as_deref()).collect();
    lines.sort_by_key(|waf| waf.span);
    lines.dedup_by_key(|waf| waf.span);
    files.extend(lines.into_iter().flat_map(doorman_proxy::plan::rule_files));
    files
}

fn pages(route: &doorman_config::Route) -> impl Iterator<Item = PathBuf> {
    route.options.error_pages.iter().filter_map(|page| match &page.value.action {
        ErrorAction::File(path) => Some(path.value.clone()),
        ErrorAction::Respond { .. } => None,
    })
}

/// What is watched and taken over without a reload. What TLS is made of: certificates, keys, authorities and revocation
/// lists. And what guards are: lists, databases, users and keys.
pub fn materials(config: &Config) -> Vec<PathBuf> {
    let mut files = guards(config);
    for tls in config.sites.iter().filter_map(|site| site.tls.as_ref()) {
        if let Some(asked) = &tls.options.client_auth {
            files.push(asked.value.ca.value.clone());
            files.extend(asked.value.crl.as_ref().map(|crl| crl.value.clone()));
        }
        if let TlsSource::Files(pairs) = &tls.source.value {
            for pair in pairs {
                files.push(pair.value.certificate.value.clone());
                files.push(pair.value.key.value.clone());
            }
        }
    }
    files.extend(
        config.global.acme.iter().filter_map(|acme| acme.ca.as_ref()).map(|ca| ca.value.clone()),
    );
    for tls in config.upstreams.iter().map(|upstream| &upstream.tls) {
        files.extend([&tls.ca, &tls.cert, &tls.key].into_iter().flatten().map(|f| f.value.clone()));
    }
    files
}

fn guards(config: &Config) -> Vec<PathBuf> {
    let mut files = Vec::new();
    if let Some(geo) = &config.global.geo {
        files.extend([&geo.country, &geo.asn].into_iter().flatten().map(|file| file.value.clone()));
    }
    let list = |list: &CredentialList| match list {
        CredentialList::File(path) => Some(path.clone()),
        CredentialList::Lines(_) => None,
    };
    for route in config.sites.iter().flat_map(|site| &site.routes) {
        let guard = &route.options.guard;
        for access in &guard.access {
            let lists = [&access.allow, &access.deny].into_iter().flatten();
            files.extend(lists.flat_map(|who| &who.files).map(|file| file.value.clone()));
        }
        let users = guard.basic_auth.iter().flat_map(|auth| &auth.lists);
        let keys = guard.api_key.iter().flat_map(|key| &key.lists);
        files.extend(users.chain(keys).filter_map(|one| list(&one.value)));
        if let Some(jwt) = &guard.jwt {
            files.extend(jwt.ca.as_ref().map(|file| file.value.clone()));
            if let JwtKeys::File(path) = &jwt.keys.value {
                files.push(path.clone());
            }
        }
        let authorities = guard.oidc.iter().filter_map(|oidc| oidc.ca.as_ref());
        files.extend(authorities.map(|file| file.value.clone()));
    }
    // Most routes have the lines of their site or of a policy.
    files.sort_unstable();
    files.dedup();
    files
}

impl Source for Files<'_> {
    fn read(&self, path: &str) -> Result<String, String> {
        self.note(Path::new(path));
        let facts = std::fs::metadata(path).map_err(|error| plain(&error))?;
        if facts.len() > FILE_BYTES_MAX as u64 {
            return Err(format!("larger than {FILE_BYTES_MAX} bytes"));
        }
        std::fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                crate::harden::out_of_reach(Path::new(path)).unwrap_or_else(|| plain(&error))
            }
            _ => plain(&error),
        })
    }

    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn secret(&self, name: &str) -> Result<String, String> {
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Err("the name of a secret is a plain file name".to_owned());
        }
        let mut looked = Vec::new();
        for folder in secret_folders() {
            let path = folder.join(name);
            self.note(&path);
            if let Ok(text) = std::fs::read_to_string(&path) {
                return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
            }
            looked.push(path.display().to_string());
        }
        Err(format!("not found as {}", looked.join(" nor as ")))
    }

    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        let mut found = vec![PathBuf::from(if pattern.starts_with('/') { "/" } else { "" })];
        for part in pattern.split('/').filter(|part| !part.is_empty()) {
            let mut next = Vec::new();
            for folder in found {
                if part.contains(WILD) && folder.is_dir() {
                    self.note(&folder);
                }
                expand(&folder, part, &mut next)?;
            }
            found = next;
        }
        found.retain(|path| path.is_file());
        found.sort();
        Ok(found.into_iter().map(|path| path.to_string_lossy().into_owned()).collect())
    }
}

/// What stands for other characters in a pattern.
const WILD: [char; 2] = ['*', '?'];

/// Folders in which secrets are looked for.
pub fn secret_folders() -> Vec<PathBuf> {
    let named = ["DOORMAN_SECRETS", "CREDENTIALS_DIRECTORY"].map(std::env::var_os);
    let mut folders: Vec<PathBuf> = named.into_iter().flatten().map(PathBuf::from).collect();
    folders.push(PathBuf::from("/run/secrets"));
    folders
}

/// One part of a pattern below one folder.
fn expand(folder: &Path, part: &str, next: &mut Vec<PathBuf>) -> Result<(), String> {
    if !part.contains(WILD) {
        next.push(folder.join(part));
        return Ok(());
    }
    let look = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = match std::fs::read_dir(look) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("{}: {}", look.display(), plain(&error))),
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        // As in a shell, a leading dot is matched only by a dot.
        if (!name.starts_with('.') || part.starts_with('.'))
            && matches(part.as_bytes(), name.as_bytes())
        {
            next.push(folder.join(name));
        }
    }
    Ok(())
}

/// `*` and `?`, in time proportional to the product of both lengths at the most.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&b) if b == b'?' || b == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::InvalidData => "not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expect) in [
            ("*", "a.conf", true),
            ("*.conf", "a.conf", true),
            ("*.conf", "a.con", false),
            ("a*b*c", "a-b-b-c", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("", "", true),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expect, "{pattern} {name}");
        }
    }
}
