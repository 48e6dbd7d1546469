//! Peers that others wrote for Node.js: packages of the npm registry in one folder, which is made once and kept.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// The packages, each of one version, that Node.js 18 and later run.
const PACKAGES: [&str; 1] = ["oidc-provider@8.8.1"];

/// The packages, and the scripts that use them.
#[derive(Clone, Debug)]
pub struct Node {
    modules: PathBuf,
    scripts: PathBuf,
}

impl Node {
    /// With packages in `folder`, and scripts of another. `None` where they cannot be had, which fails a run of the
    /// CI.
    ///
    /// # Panics
    /// When they cannot be had and the variable `CI` is set.
    #[must_use]
    pub fn find(folder: &str, scripts: &str) -> Option<Self> {
        // Tests that ask at the same time make one folder, not one each.
        static MAKING: Mutex<()> = Mutex::new(());
        let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = Path::new(folder);
        let place = folder.join(format!("node-{}", PACKAGES.join("-").replace(['@', '.'], "-")));
        let modules = place.join("node_modules");
        if !modules.exists()
            && let Err(why) = make(folder, &place)
        {
            assert!(std::env::var_os("CI").is_none(), "no {PACKAGES:?}: {why}");
            eprintln!("skipped, since there is no {PACKAGES:?}: {why}");
            return None;
        }
        Some(Self { modules, scripts: PathBuf::from(scripts) })
    }

    /// Starts a server: a script that finds the folder of packages in the variable `MODULES`, gets these arguments,
    /// and says `ready` once it serves.
    ///
    /// # Panics
    /// It does not say so.
    #[must_use]
    pub fn serve(&self, script: &str, arguments: &[&str]) -> Server {
        let mut child = Command::new("node")
            .arg(self.scripts.join(script))
            .args(arguments)
            .env("MODULES", &self.modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("packages were installed by npm, which has Node.js");
        let stdout = child.stdout.take().expect("it was asked for");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "ready"), "{script} {arguments:?} is not ready");
        // What it says later goes nowhere, and blocks it nowhere.
        std::thread::spawn(move || lines.count());
        Server { child }
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes the folder aside and moves it to its place, so that a half made one is never used.
fn make(folder: &Path, place: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let aside = tempfile::TempDir::with_prefix_in("node-", folder).map_err(|e| e.to_string())?;
    let aside = aside.keep();
    let words =
        ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev", "--prefix"];
    let mut command = Command::new("npm");
    command.args(words).arg(&aside).args(PACKAGES);
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    match std::fs::rename(&aside, place) {
        // Another program was faster.
        Err(_) if place.exists() => std::fs::remove_dir_all(&aside).map_err(|e| e.to_string()),
        moved => moved.map_err(|error| error.to_string()),
    }
}
