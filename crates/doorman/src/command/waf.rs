//! `doorman waf`: what rules find in requests, why they refuse one, and what they cost.

mod check;
mod events;
mod rules;
mod test;
mod why;

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::FILE;
use super::called::Called;
use super::screen::Screen;

const EXAMPLES: &str = "\
Examples:
  doorman waf events                              what rules found of late
  doorman waf events --shadow                     what a higher level would have refused
  doorman waf why 0198b6f2-1c00-7000-8000-000000000001    which rules, where, and what would let it pass
  doorman waf test 'https://shop.example.com/?q=1+or+1=1'    would this be refused?
  doorman waf test request.http                   a raw request from a file
  doorman waf check                               are the rules right, how many, how large?
  doorman waf rules --by cost                     which rules cost most
";

/// Show what rules find in requests, why they refuse one, and what they cost
#[derive(Args)]
#[command(before_help = EXAMPLES)]
pub struct Waf {
    #[command(subcommand)]
    what: What,
    /// Where the running proxy listens: unix:PATH or IP:PORT
    #[arg(long, value_name = "ADDRESS", global = true)]
    admin: Option<String>,
    /// The configuration: the one to look at, or that may name the admin socket
    #[arg(short, long, default_value = FILE, global = true)]
    config: PathBuf,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum What {
    Events(events::Events),
    Why(why::Why),
    Test(test::Test),
    Check(check::Check),
    Rules(rules::Rules),
}

impl Waf {
    pub fn run(self, screen: &Screen) -> ExitCode {
        let Self { what, admin, config, json } = self;
        let form = Form::of(json);
        let ask = |ask: &dyn Fn(&Called) -> ExitCode| {
            Called::find(admin.as_deref(), &config, json).map_or_else(|code| code, |one| ask(&one))
        };
        match what {
            What::Events(events) => ask(&|called| events.run(called, screen)),
            What::Why(why) => ask(&|called| why.run(called, screen)),
            What::Rules(rules) => ask(&|called| rules.run(called, screen)),
            What::Test(test) => test.run(&config, form, screen),
            What::Check(check) => check.run(&config, form, screen),
        }
    }
}

/// For whom a command writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    People,
    Programs,
}

impl Form {
    const fn of(json: bool) -> Self {
        if json { Self::Programs } else { Self::People }
    }
}

/// Rows in columns as wide as they need to be; the last is as long as it is.
fn table<const N: usize>(head: [&str; N], rows: &[[String; N]], screen: &Screen) -> String {
    let mut widths = head.map(|word| word.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |cells: [&str; N]| {
        let mut text = String::new();
        for (n, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let gap = if n == 0 { "" } else { "  " };
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{gap}{cell:<width$}");
        }
        text.truncate(text.trim_end().len());
        text
    };
    let mut text = screen.strong(&line(head)) + "\n";
    for row in rows {
        text += &line(std::array::from_fn(|n| row[n].as_str()));
        text.push('\n');
    }
    text
}

/// A text of the network, cut to so many characters and fit for a terminal.
fn shown(text: &str, most: usize) -> String {
    let text = crate::log::printable(text.as_bytes());
    if text.chars().count() <= most {
        return text;
    }
    let cut: String = text.chars().take(most.saturating_sub(3)).collect();
    cut + "..."
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::screen::When;

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let screen = Screen::new(When::Never);
        let rows = [["1".to_owned(), "two".to_owned()], ["longer".to_owned(), String::new()]];
        assert_eq!(table(["A", "B"], &rows, &screen), "A       B\n1       two\nlonger\n");
    }

    #[test]
    fn what_comes_of_the_network_does_not_move_the_cursor() {
        assert!(!shown("a\u{1b}[2Jb", 40).contains('\u{1b}'));
        assert_eq!(shown("abcdef", 5), "ab...");
    }
}
