//! A test that runs in a process of its own: this program again, with one test chosen.

use rustix::process::getuid;
use std::os::unix::fs::chown;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::time::{Duration, Instant};

/// Nobody has this number, and so nobody else's threads count.
const USER: u32 = 2_017_003_211;

/// The process to be.
pub struct Child(Command);

/// Where a child finds what it is to do.
const VARIABLE: &str = "HELIUM_CHILD";
const SIGKILL: i32 = 9;
/// How long a victim may take to get to work, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);

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

    /// Starts it, if it can be.
    pub fn try_start(mut self) -> Option<process::Child> {
        self.0.stdout(Stdio::null()).spawn().ok()
    }

    /// As [`Child::running`], as a user that nobody else is, to whom the folder belongs. Only root can become one, and
    /// only if that one may run this program: otherwise there is none.
    pub fn of_another_user(test: &str, folder: &Path) -> Option<Self> {
        if !getuid().is_root() {
            return None;
        }
        chown(folder, Some(USER), Some(USER)).ok()?;
        let child = |test| {
            let mut child = Self::running(test, folder);
            child.0.uid(USER).gid(USER);
            child
        };
        let shown = child("common::child::nothing").0.output().ok()?;
        shown.status.success().then(|| child(test))
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

#[test]
#[ignore = "shows whether the other user can run this"]
fn nothing() {}

/// A child that works until it is killed.
pub struct Victim(process::Child);

impl Victim {
    pub fn start(child: Child) -> Self {
        Self(child.start())
    }

    /// Waits until it has got so far.
    pub fn wait_until(&mut self, ready: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !ready() {
            if let Some(status) = self.0.try_wait().unwrap() {
                panic!("the child ended by itself, see above: {status}");
            }
            assert!(Instant::now() < end, "the child does not get to work");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Kills it with SIGKILL some time from now. It must not have ended by itself.
    pub fn kill_after(mut self, time: Duration) {
        std::thread::sleep(time);
        self.0.kill().unwrap();
        let status = self.0.wait().unwrap();
        assert_eq!(
            status.signal(),
            Some(SIGKILL),
            "the child ended by itself, see above: {status}"
        );
    }
}

/// For a victim: its other threads would go on, and the parent would kill it before it noticed.
pub fn end_with_the_first_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        process::abort();
    }));
}
