//! The door: command line, run, reload, admin API, logs.

mod admin;
mod command;
mod engine;
mod files;
mod log;
mod metrics;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    command::main()
}
