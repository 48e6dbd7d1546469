//! What is written: where, and whether the user that the process goes on as may.
//!
//! While it is still root, what is missing is made for that user. What is there already is left alone: to give it away
//! is for whom it belongs to.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use doorman_config::{AccessLog, Config, LogTarget, SocketAddress, SourceMap, WafLog};
use rustix::fs::{Access, AtFlags, CWD, Gid, Uid, accessat, chownat};

use super::account::Account;
use crate::{admin, engine};

/// What a configuration has written to.
pub(super) struct Written {
    /// The folder of what doorman keeps.
    pub(super) data: PathBuf,
    /// Folders of stores.
    pub(super) stores: Vec<PathBuf>,
    /// Log files.
    pub(super) logs: Vec<PathBuf>,
    /// Unix sockets.
    pub(super) sockets: Vec<PathBuf>,
    /// Of them, those of the admin API and the metrics.
    pub(super) own_sockets: Vec<PathBuf>,
    /// Of these, the one that nobody wrote down.
    default_socket: Option<PathBuf>,
}

impl Written {
    pub(super) fn of(config: &Config) -> Self {
        let global = &config.global;
        let data = engine::data_folder(global);
        let mut targets = vec![&global.error_log.value.to];
        if let AccessLog::On { to, .. } = &global.access_log.value {
            targets.push(to);
        }
        if let WafLog::On(to) = &global.waf_log.value {
            targets.push(to);
        }
        let logs = targets.into_iter().filter_map(|target| match target {
            LogTarget::File(path) => Some(path.clone()),
            LogTarget::Stdout | LogTarget::Stderr => None,
        });
        let stores = config.stores.iter().filter_map(|store| store.disk.as_ref());
        let listeners = config.listeners.iter().map(|listener| &listener.address);
        let relays = config.relays.iter().map(|relay| &relay.address.value);
        let own = global.admin.iter().map(|admin| &admin.value.address);
        let own = own.chain(global.metrics.iter().map(|metrics| &metrics.value));
        let path = |address: &SocketAddress| match address {
            SocketAddress::Unix(path) => Some(path.clone()),
            SocketAddress::Any(_) | SocketAddress::Ip(_) => None,
        };
        let default_socket = global.admin.is_none().then(|| admin::default_socket(global));
        let own_sockets: Vec<PathBuf> =
            own.filter_map(path).chain(default_socket.clone()).collect();
        let sockets = listeners.chain(relays).filter_map(path).chain(own_sockets.clone());
        Self {
            stores: stores.map(|disk| disk.value.dir.clone()).collect(),
            logs: logs.collect(),
            data,
            sockets: sockets.collect(),
            own_sockets,
            default_socket,
        }
    }

    /// Makes what is missing, and gives it to a user.
    ///
    /// # Errors
    /// What cannot be made, in a line.
    pub(super) fn make_for(&self, account: &Account) -> Result<(), String> {
        let failed = |path: &Path| {
            let path = path.display().to_string();
            move |error: io::Error| format!("cannot make {path} for the user: {error}")
        };
        let sockets = self.own_sockets.iter().filter_map(|socket| socket.parent());
        for folder in self.written_folders().chain(sockets) {
            make_folder(folder, account).map_err(failed(folder))?;
        }
        if let Some(folder) = self.default_socket.as_deref().and_then(Path::parent) {
            // It is nobody's but doorman's, and holds nothing but sockets of processes that run.
            make_folder(folder, account)
                .and_then(|()| give(folder, account))
                .map_err(failed(folder))?;
        }
        for log in self.logs.iter().filter(|log| !log.exists()) {
            let mode = crate::log::MODE;
            OpenOptions::new()
                .append(true)
                .create_new(true)
                .mode(mode)
                .open(log)
                .and_then(|_| give(log, account))
                .map_err(failed(log))?;
        }
        Ok(())
    }

    fn written_folders(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.data).chain(&self.stores).map(PathBuf::as_path)
    }

    /// Whether whoever runs now may write where it must, and read its configuration again: what would fail at a
    /// reload is to fail at the start.
    ///
    /// # Errors
    /// The first that is not so, in a line.
    pub(super) fn check(&self, account: &Account, sources: &SourceMap) -> Result<(), String> {
        let (name, group) = (&account.name, account.group);
        for folder in self.written_folders() {
            if !may(folder, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
                let folder = folder.display();
                return Err(format!(
                    "user {name} may not write in {folder}\n  help: chown -R {name} {folder}"
                ));
            }
        }
        for log in &self.logs {
            if !may(log, Access::WRITE_OK) {
                let log = log.display();
                return Err(format!(
                    "user {name} may not write the log {log}\n  help: chown {name} {log}"
                ));
            }
        }
        for socket in &self.own_sockets {
            let folder = match socket.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            if !may(folder, Access::WRITE_OK | Access::EXEC_OK) {
                let (socket, folder) = (socket.display(), folder.display());
                return Err(format!(
                    "user {name} may not make the socket {socket}\n  help: chown {name} {folder}, or name a folder \
                     of its own for it"
                ));
            }
        }
        for file in sources.paths().map(Path::new).filter(|file| file.is_file()) {
            if !may(file, Access::READ_OK) {
                let file = file.display();
                return Err(format!(
                    "user {name} may not read {file}, so no reload would work\n  \
                     help: chgrp {group} {file} && chmod 640 {file}"
                ));
            }
        }
        Ok(())
    }
}

fn may(path: &Path, access: Access) -> bool {
    accessat(CWD, path, access, AtFlags::EACCESS).is_ok()
}

/// Makes a folder and those above it that are missing, each for the user.
fn make_folder(folder: &Path, account: &Account) -> io::Result<()> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|at| !at.as_os_str().is_empty() && std::fs::symlink_metadata(at).is_err())
        .collect();
    for at in missing.into_iter().rev() {
        DirBuilder::new().mode(0o700).create(at)?;
        give(at, account)?;
    }
    Ok(())
}

/// Gives something of root's to the user; never what a link leads to.
fn give(path: &Path, account: &Account) -> io::Result<()> {
    if std::fs::symlink_metadata(path)?.uid() != 0 {
        return Ok(());
    }
    let (user, group) = (Uid::from_raw(account.user), Gid::from_raw(account.group));
    chownat(CWD, path, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}
