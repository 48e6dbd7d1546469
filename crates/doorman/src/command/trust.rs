//! `doorman trust` and `doorman untrust`: the local authority among those that this machine believes.
//!
//! Two kinds of stores: the system's, a folder of certificates and a command that takes it over, and the databases that
//! browsers keep for themselves, which `certutil` of NSS writes. What is written can be taken back by the same name.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use clap::{Args, ValueEnum};
use doorman_net::tls::{RootFacts, read_pem, root_facts};

use super::run::LOCAL_ROOT;
use super::{FILE, exit, refuse, screen, screen::Screen};
use crate::engine::{self, Origin};

const TRUST_EXAMPLES: &str = "\
Examples:
  sudo doorman trust --store system       for curl and most programs
  doorman trust --store browsers          for the browsers of this user
  doorman trust                           both
";

const UNTRUST_EXAMPLES: &str = "\
Examples:
  sudo doorman untrust --store system
  doorman untrust --store browsers
";

/// Let this machine believe the local authority of `tls internal`
///
/// Its certificate goes into the system's store, for which root is needed, and into the stores of the browsers that are
/// found in the home folder of whoever runs this.
#[derive(Args)]
#[command(before_help = TRUST_EXAMPLES)]
pub struct Trust {
    #[command(flatten)]
    stores: Stores,
}

/// Take the local authority out of the stores again
#[derive(Args)]
#[command(before_help = UNTRUST_EXAMPLES)]
pub struct Untrust {
    #[command(flatten)]
    stores: Stores,
}

#[derive(Args)]
struct Stores {
    /// The configuration, which may name the data folder
    #[arg(short, long, default_value = FILE)]
    config: PathBuf,
    /// Only this store
    #[arg(long, value_enum)]
    store: Option<Store>,
    /// The system whose root folder this is, for images
    #[arg(long, value_name = "DIR", default_value = "/")]
    prefix: PathBuf,
}

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Store {
    /// The system's
    System,
    /// Those of browsers
    Browsers,
}

impl Trust {
    pub fn run(self, screen: &Screen) -> ExitCode {
        self.stores.change(Change::Add, screen)
    }
}

impl Untrust {
    pub fn run(self, screen: &Screen) -> ExitCode {
        self.stores.change(Change::Remove, screen)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Add,
    Remove,
}

/// The root as it is put into stores.
struct Root {
    file: PathBuf,
    pem: Vec<u8>,
    facts: RootFacts,
}

impl Stores {
    fn change(&self, change: Change, screen: &Screen) -> ExitCode {
        let root = match self.root(screen) {
            Ok(root) => root,
            Err(code) => return code,
        };
        let wanted = |store| self.store.is_none_or(|only| only == store);
        let mut worst = ExitCode::SUCCESS;
        if wanted(Store::System) {
            match system(&self.prefix, &root, change) {
                Ok(done) => println_out(&done),
                Err(error) => {
                    eprintln!("error: {error}");
                    worst = ExitCode::from(error.code());
                }
            }
        }
        if wanted(Store::Browsers) {
            match browsers(&root, change) {
                Ok(done) => done.iter().for_each(|line| println_out(line)),
                Err(error) => {
                    eprintln!("error: {error}");
                    worst = ExitCode::from(error.code());
                }
            }
        }
        worst
    }

    fn root(&self, screen: &Screen) -> Result<Root, ExitCode> {
        let data = match engine::read(&Origin::File(self.config.clone()), engine::NOBODY) {
            Ok((config, ..)) => engine::data_folder(&config.global),
            Err(refused) => return Err(refuse(&refused, screen)),
        };
        let file = data.join(LOCAL_ROOT);
        let pem = match read_pem(&file) {
            Ok(pem) => pem,
            Err(error) => {
                eprintln!("error: {error}");
                eprintln!(
                    "  help: the authority is made when doorman first serves a site with `tls internal`"
                );
                return Err(ExitCode::from(exit::FAILED));
            }
        };
        match root_facts(&file, &pem) {
            Ok(facts) => Ok(Root { file, pem, facts }),
            Err(error) => Err(screen::failed(&error.to_string())),
        }
    }
}

fn println_out(line: &str) {
    let _ = screen::data(&format!("{line}\n"));
}

/// What went wrong with a store.
enum Trouble {
    File(PathBuf, io::Error),
    Command(String, String),
    NoStore(PathBuf),
    NoCertutil(Vec<PathBuf>),
}

impl Trouble {
    fn code(&self) -> u8 {
        match self {
            Self::File(_, error) if error.kind() == io::ErrorKind::PermissionDenied => {
                exit::NOT_PERMITTED
            }
            _ => exit::FAILED,
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path, error) if error.kind() == io::ErrorKind::PermissionDenied => {
                write!(
                    f,
                    "{}: permission denied; the system's store is root's: sudo",
                    path.display()
                )
            }
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Command(command, said) => write!(f, "{command}: {}", said.trim()),
            Self::NoStore(root) => write!(
                f,
                "this system has no store that is known here; the certificate is {}",
                root.display()
            ),
            Self::NoCertutil(found) => {
                let found: Vec<_> = found.iter().map(|path| path.display().to_string()).collect();
                write!(
                    f,
                    "browsers keep stores in {}, and `certutil`, which writes them, is missing; it is in the package \
                     libnss3-tools (Debian), nss-tools (Fedora) or nss (Arch)",
                    found.join(", ")
                )
            }
        }
    }
}

/// A folder that systems take certificates from, and what takes them over.
struct Kept {
    folder: &'static str,
    extension: &'static str,
    command: &'static [&'static str],
}

/// In the order in which they are looked for: a system has one.
const KEPT: [Kept; 4] = [
    // Debian and its kin.
    Kept {
        folder: "usr/local/share/ca-certificates",
        extension: "crt",
        command: &["update-ca-certificates"],
    },
    // Fedora and its kin.
    Kept {
        folder: "etc/pki/ca-trust/source/anchors",
        extension: "pem",
        command: &["update-ca-trust", "extract"],
    },
    // Arch.
    Kept {
        folder: "etc/ca-certificates/trust-source/anchors",
        extension: "pem",
        command: &["update-ca-trust", "extract"],
    },
    // SUSE.
    Kept {
        folder: "etc/pki/trust/anchors",
        extension: "pem",
        command: &["update-ca-certificates"],
    },
];

fn system(prefix: &Path, root: &Root, change: Change) -> Result<String, Trouble> {
    let kept = KEPT
        .iter()
        .find(|kept| prefix.join(kept.folder).is_dir())
        .ok_or_else(|| Trouble::NoStore(root.file.clone()))?;
    let folder = prefix.join(kept.folder);
    let file = folder.join(format!("doorman-{}.{}", root.facts.tag, kept.extension));
    let done = match change {
        Change::Add => {
            std::fs::write(&file, &root.pem).map_err(|error| Trouble::File(file.clone(), error))?;
            format!("system: {} is trusted, as {}", root.facts.name, file.display())
        }
        Change::Remove => match std::fs::remove_file(&file) {
            Ok(()) => format!("system: {} is trusted no more", root.facts.name),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(format!("system: {} was not trusted", root.facts.name));
            }
            Err(error) => return Err(Trouble::File(file, error)),
        },
    };
    let [program, arguments @ ..] = kept.command else { return Ok(done) };
    let mut command = Command::new(program);
    command.args(arguments);
    if *program == "update-ca-certificates" && prefix != Path::new("/") {
        command.arg("--localcertsdir").arg(&folder);
        command.arg("--etccertsdir").arg(prefix.join("etc/ssl/certs"));
    }
    ran(program, command.output())?;
    Ok(done)
}

fn ran(program: &str, output: io::Result<Output>) -> Result<(), Trouble> {
    let output = output.map_err(|error| Trouble::Command(program.to_owned(), error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Trouble::Command(program.to_owned(), said))
}

fn browsers(root: &Root, change: Change) -> Result<Vec<String>, Trouble> {
    let Some(home) = std::env::var_os("HOME").map(PathBuf::from) else {
        return Ok(vec!["browsers: there is no home folder to look in".to_owned()]);
    };
    let databases = databases(&home);
    if databases.is_empty() {
        return Ok(vec![format!("browsers: no store in {}", home.display())]);
    }
    let mut done = Vec::new();
    for database in &databases {
        let location = format!("sql:{}", database.display());
        let mut command = Command::new("certutil");
        match change {
            Change::Add => {
                // C: believed about servers, and nothing else.
                command.args(["-A", "-d", &location, "-t", "C,,", "-n", &root.facts.name, "-i"]);
                command.arg(&root.file);
            }
            Change::Remove => {
                command.args(["-D", "-d", &location, "-n", &root.facts.name]);
            }
        }
        let output = command.output();
        if matches!(&output, Err(error) if error.kind() == io::ErrorKind::NotFound) {
            return Err(Trouble::NoCertutil(databases));
        }
        let was_there = match &output {
            // certutil's words for a name that is not there.
            Ok(output) => {
                !String::from_utf8_lossy(&output.stderr).contains("could not find certificate")
            }
            Err(_) => true,
        };
        let words = match (change, was_there) {
            (Change::Remove, false) => "was not trusted",
            (Change::Remove, true) => "is trusted no more",
            (Change::Add, _) => "is trusted",
        };
        if change == Change::Add || was_there {
            ran("certutil", output)?;
        }
        done.push(format!("browsers: {} {words} in {}", root.facts.name, database.display()));
    }
    Ok(done)
}

/// Where browsers keep databases of NSS: those of Chromium's kin, and each profile of Firefox.
fn databases(home: &Path) -> Vec<PathBuf> {
    let chromium = [".pki/nssdb", "snap/chromium/current/.pki/nssdb"];
    let firefox = [".mozilla/firefox", "snap/firefox/common/.mozilla/firefox"];
    let mut found: Vec<PathBuf> = chromium.iter().map(|place| home.join(place)).collect();
    for profiles in firefox {
        let Ok(entries) = std::fs::read_dir(home.join(profiles)) else { continue };
        found.extend(entries.flatten().map(|entry| entry.path()));
    }
    found.retain(|folder| folder.join("cert9.db").is_file());
    found.sort();
    found
}
