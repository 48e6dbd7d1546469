//! The door: command line, run, reload, admin API, logs.

#![expect(
    unreachable_pub,
    reason = "nothing of a binary is reachable from outside; `pub` says what other modules may use"
)]

mod admin;
mod command;
mod engine;
mod exclusion;
mod files;
mod harden;
mod log;
mod metrics;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    command::main()
}
