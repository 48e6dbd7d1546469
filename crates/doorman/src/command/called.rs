//! A call to the running proxy whose answer is a report, as most commands that look at it make one.

use std::path::Path;
use std::process::ExitCode;

use serde::de::DeserializeOwned;

use super::reload::{fail, print};
use super::screen;
use crate::admin::Client;

/// A running proxy, and for whom its answers are shown.
pub(super) struct Called {
    client: Client,
    json: bool,
}

impl Called {
    /// Finds the proxy, as [`Client::find`] does.
    ///
    /// # Errors
    /// It said why not; this is the exit code for it.
    pub(super) fn find(admin: Option<&str>, config: &Path, json: bool) -> Result<Self, ExitCode> {
        let client = Client::find(admin, config).map_err(|error| fail(&error))?;
        Ok(Self { client, json })
    }

    /// Asks for a report, and shows it to people as `show` says it.
    pub(super) fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        show: impl FnOnce(&T) -> ExitCode,
    ) -> ExitCode {
        self.call("GET", path, show)
    }

    /// Makes a call of any method.
    pub(super) fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        show: impl FnOnce(&T) -> ExitCode,
    ) -> ExitCode {
        let answer = match self.client.call(method, path) {
            Ok(answer) => answer,
            Err(error) => return fail(&error),
        };
        if answer.code != 200 {
            return refused(answer.code, &answer.body);
        }
        if self.json {
            print(&answer.body);
            return ExitCode::SUCCESS;
        }
        match serde_json::from_value::<T>(answer.body) {
            Ok(report) => show(&report),
            Err(_) => screen::failed("what answers is no doorman, or an older one"),
        }
    }
}

/// Says why a call was refused.
pub(super) fn refused(code: u16, body: &serde_json::Value) -> ExitCode {
    let why = body["error"].as_str().unwrap_or("what answers is no doorman, or an older one");
    if code == 400 { screen::usage(why) } else { screen::failed(why) }
}
