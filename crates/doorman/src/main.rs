//! The door: command line, run, reload, admin API, logs.

fn main() {}
