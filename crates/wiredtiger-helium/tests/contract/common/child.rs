//! A test that runs in a process of its own: this program again, with one test chosen.

use std::path::Path;
use std::process::{Command, Stdio};

/// The process to be.
pub struct Child(Command);

/// Where a child finds what it is to do.
const VARIABLE: &str = "HELIUM_CHILD";

impl Child {
    /// A process that runs only `test`, an ignored test, and gets a folder to work in.
    pub fn running(test: &str, folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([
                test,
                "--exact",
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(VARIABLE, folder)
            .stdin(Stdio::null());
        Self(command)
    }

    /// The folder that the parent gave, or none if a person ran the ignored tests by hand.
    pub fn folder() -> Option<std::path::PathBuf> {
        std::env::var_os(VARIABLE).map(Into::into)
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Starts it. What it has to say goes into files of its folder.
    pub fn start(mut self) -> std::process::Child {
        self.0
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap()
    }

    /// Runs it to the end; what it printed, if it succeeded.
    pub fn finish(mut self) -> String {
        let output = self.0.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "the child failed: {}\n{text}\n{errors}",
            output.status
        );
        text
    }
}
