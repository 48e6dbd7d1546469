//! `doorman hash`: what configurations and lists hold in place of passwords and keys.
//!
//! Nothing secret is ever an argument, which every user of the machine could read: a password comes from the terminal,
//! which does not show it, or from standard input, and a key is made here.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use doorman_proxy::auth::{key, password};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use serde_json::json;

use super::screen;

const EXAMPLES: &str = "\
Examples:
  doorman hash password                       asks for it, and says what `basic-auth` wants
  pass show site | doorman hash password      of a manager of passwords
  doorman hash password --user anna >> users  a line of a file of users
  doorman hash key --name partner             a new key, and the line of `api-key` that knows it
";

/// Bytes of standard input that are looked at: more than the longest password.
const INPUT_MAX: u64 = 4096;

/// Make the hash of a password, or a new key and its hash
#[derive(Args)]
#[command(before_help = EXAMPLES)]
pub struct Hash {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Read a password, and print its Argon2id hash
    Password {
        /// Print a line of a file of users
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
    /// Make a new key, and print it with its hash; nobody can show it again
    Key {
        /// Whose it is
        #[arg(long, value_name = "NAME", default_value = "somebody")]
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl Hash {
    pub fn run(self) -> ExitCode {
        match self.what {
            What::Password { user } => match hashed(user.as_deref()) {
                Ok(line) => screen::data(&line),
                Err(why) => screen::failed(&why),
            },
            What::Key { name, json } => {
                if let Err(why) = named(&name) {
                    return screen::usage(&why);
                }
                let Some(chance) = chance() else { return screen::failed(NO_CHANCE) };
                let (key, hash) = key::make(&chance);
                if json {
                    return screen::json(&json!({ "name": name, "key": key, "hash": hash }));
                }
                eprintln!("give this to {name}; it is kept nowhere:");
                let shown = screen::data(&format!("{key}\n"));
                eprintln!("what knows it, in `api-key`:\n    key {name} {hash}");
                eprintln!("or as a line of its file:\n{name}:{hash}");
                shown
            }
        }
    }
}

const NO_CHANCE: &str = "the system gives no random numbers";

/// The hash of a password, as a line.
fn hashed(user: Option<&str>) -> Result<String, String> {
    user.map_or(Ok(()), named)?;
    let password = read()?;
    let chance = chance().ok_or(NO_CHANCE)?;
    let salt = std::array::from_fn(|at| chance[at]);
    let hash = password::make(&password, &salt).map_err(|error| error.to_string())?;
    Ok(user.map_or_else(|| format!("{hash}\n"), |user| format!("{user}:{hash}\n")))
}

/// A name that can stand in a line of a list.
fn named(name: &str) -> Result<(), String> {
    let fits =
        !name.is_empty() && !name.contains([':', '#', ' ']) && !name.chars().any(char::is_control);
    let why = "a name in a list is not empty and holds no `:`, `#`, space or control character";
    if fits { Ok(()) } else { Err(why.to_owned()) }
}

fn read() -> Result<String, String> {
    let input = io::stdin();
    if !input.is_terminal() {
        return line(input.lock());
    }
    let _silent = Silent::begin()?;
    let ask = |what: &str| {
        eprint!("{what}: ");
        let _ = io::stderr().flush();
        let line = line(io::stdin().lock());
        eprintln!();
        line
    };
    let password = ask("password")?;
    if ask("once more")? == password {
        Ok(password)
    } else {
        Err("these are two different ones".to_owned())
    }
}

/// The first line, without its end.
fn line(input: impl BufRead) -> Result<String, String> {
    let mut text = String::new();
    let read = input.take(INPUT_MAX).read_line(&mut text);
    read.map_err(|error| format!("cannot read a password: {error}"))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

fn chance() -> Option<[u8; 32]> {
    let words = [doorman_net::seal::secret_words().ok()?, doorman_net::seal::secret_words().ok()?];
    let bytes = words.as_flattened().iter().flat_map(|word| word.to_le_bytes());
    bytes.collect::<Vec<_>>().try_into().ok()
}

/// A terminal that does not show what is typed, until this goes.
struct Silent(Termios);

impl Silent {
    fn begin() -> Result<Self, String> {
        let cannot = |error| format!("cannot keep the terminal from showing a password: {error}");
        let before = tcgetattr(io::stdin()).map_err(cannot)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent).map_err(cannot)?;
        Ok(Self(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_all_that_is_read() {
        for (text, expect) in
            [("secret\nmore", "secret"), ("with space \r\n", "with space "), ("", "")]
        {
            assert_eq!(line(text.as_bytes()).as_deref(), Ok(expect));
        }
        assert_eq!(line(&b"x".repeat(9_000)[..]).map(|text| text.len()), Ok(4_096));
        assert!(line(&b"\xFF\n"[..]).is_err());
    }

    #[test]
    fn names_fit_into_lists() {
        for (name, fits) in
            [("anna", true), ("", false), ("a:b", false), ("a b", false), ("a\n", false)]
        {
            assert_eq!(named(name).is_ok(), fits, "{name:?}");
        }
    }
}
