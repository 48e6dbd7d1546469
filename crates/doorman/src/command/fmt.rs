//! `doorman fmt`: the one layout of configurations.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use doorman_config::FILE_BYTES_MAX;

use super::screen::{self, Screen};
use super::{FILE, exit};

const EXAMPLES: &str = "\
Examples:
  doorman fmt                         doorman.conf, in place
  doorman fmt --check conf.d/*.conf   exit 1 if one would change
  doorman fmt --stdout < site.conf
";

/// Give configurations the one layout
///
/// Comments and the spelling of values stay. A second run changes nothing.
#[derive(Args)]
#[command(before_help = EXAMPLES)]
pub struct Fmt {
    /// Files to format; `-` reads standard input and writes to standard output
    #[arg(default_value = FILE)]
    files: Vec<PathBuf>,
    /// Change nothing; name the files that would change, and exit with 1 if there are any
    #[arg(long, conflicts_with = "stdout")]
    check: bool,
    /// Print the result instead of writing it
    #[arg(long)]
    stdout: bool,
}

impl Fmt {
    pub fn run(self, screen: &Screen) -> ExitCode {
        let mut worst = 0;
        for file in &self.files {
            // Every file is looked at, and the gravest fault counts.
            worst = worst.max(self.one(file, screen).err().unwrap_or(0));
        }
        ExitCode::from(worst)
    }

    fn one(&self, file: &Path, screen: &Screen) -> Result<(), u8> {
        let fail = |why: String| {
            screen::failed(&why);
            exit::FAILED
        };
        let name = file.display();
        let is_stdin = file == Path::new("-");
        let text = if is_stdin { read_stdin() } else { read(file) };
        let text = text.map_err(|why| fail(format!("cannot read {name}: {why}")))?;
        let formatted = doorman_config::format(&file.to_string_lossy(), &text).map_err(
            |(diagnostics, sources)| {
                screen.tell(&diagnostics, &sources);
                exit::CONFIG
            },
        )?;
        if self.check {
            if formatted == text {
                return Ok(());
            }
            screen::data(&format!("{name}\n"));
            return Err(exit::FAILED);
        }
        if self.stdout || is_stdin {
            screen::data(&formatted);
            return Ok(());
        }
        if formatted != text {
            replace(file, &formatted).map_err(|why| fail(format!("cannot write {name}: {why}")))?;
            eprintln!("formatted {name}");
        }
        Ok(())
    }
}

/// Reads a file, with the bound that loading has.
pub fn read(file: &Path) -> Result<String, String> {
    let file = std::fs::File::open(file).map_err(|error| error.to_string())?;
    bounded(file)
}

/// Reads standard input, with the same bound.
pub fn read_stdin() -> Result<String, String> {
    bounded(std::io::stdin().lock())
}

fn bounded(from: impl Read) -> Result<String, String> {
    let mut text = String::new();
    let limit = FILE_BYTES_MAX as u64 + 1;
    from.take(limit).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() > FILE_BYTES_MAX {
        return Err(format!("larger than {FILE_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// Replaces a file as a whole: a crash leaves the old one or the new one, never half of one.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    // A symbolic link stays one.
    let file = file.canonicalize()?;
    let folder = file.parent().unwrap_or(Path::new("/"));
    let mut staged = tempfile::NamedTempFile::new_in(folder)?;
    staged.write_all(text.as_bytes())?;
    staged.as_file().set_permissions(std::fs::metadata(&file)?.permissions())?;
    staged.as_file().sync_all()?;
    staged.persist(&file)?;
    Ok(())
}
