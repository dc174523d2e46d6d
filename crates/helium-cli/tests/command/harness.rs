//! Running the command: with pipes, or in a terminal.

use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, LazyLock, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    process::Signal,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use serde_json::Value;
use tempfile::TempDir;

/// Longest time that anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test.
pub const HELIUM: &str = env!("CARGO_BIN_EXE_helium");

/// A folder to run it in.
pub struct Place {
    folder: TempDir,
}

/// What came of a run.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: Vec<u8>,
    pub err: String,
}

impl Place {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder for the test"),
        }
    }

    /// One with a volume `v` that has a datastore `d`.
    pub fn with_volume() -> Self {
        let place = Self::new();
        place.helium(["create", "v", "d"]).ok();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).expect("the test's own folder");
    }

    pub fn command(&self) -> Command {
        let mut command = program();
        command.current_dir(self.folder.path());
        command
    }

    pub fn helium<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        self.helium_with(arguments, b"")
    }

    pub fn helium_with<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Ran {
        let mut command = self.command();
        command.args(arguments);
        run(command, input)
    }
}

/// Who runs the tests in the background may have them ignore what a terminal sends. The command goes on ignoring what it is
/// started with: unless `env` sets that right, no signal of a test would end it.
fn program() -> Command {
    static IS_IGNORED: LazyLock<bool> = LazyLock::new(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        let sent = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];
        let bit = |signal: Signal| 1 << (signal.as_raw() - 1);
        ignored.is_some_and(|mask| sent.into_iter().any(|signal| mask & bit(signal) != 0))
    });
    if !*IS_IGNORED {
        return Command::new(HELIUM);
    }
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP,INT,QUIT,TERM", HELIUM]);
    command
}

impl Place {
    /// A load of the volume `v` into `d`, item by item, that has got `input` and waits for more. Its output goes to
    /// pipes unless `change` says otherwise.
    pub fn loading(&self, input: &[u8], change: impl FnOnce(&mut Command)) -> Child {
        self.loading_by(self.command(), input, change)
    }

    /// The same of a command that starts `helium` with the words that follow.
    pub fn loading_by(
        &self,
        mut command: Command,
        input: &[u8],
        change: impl FnOnce(&mut Command),
    ) -> Child {
        command
            .current_dir(self.path(""))
            .args(["load", "v", "-d", "d", "-f", "jsonl", "--as-it-comes"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().expect("start");
        let stdin = child.stdin.as_mut().expect("piped");
        stdin.write_all(input).expect("it reads");
        child
    }
}

/// Runs `command` on `input` to its end.
pub fn run(mut command: Command, input: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    // Whether it reads its input is up to it.
    let feeder = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("its output");
    feeder.join().expect("only writes");
    Ran {
        code: output.status.code(),
        out: output.stdout,
        err: String::from_utf8(output.stderr).expect("messages are text"),
    }
}

impl Ran {
    /// It worked, and said nothing on standard error.
    #[track_caller]
    pub fn ok(self) -> Vec<u8> {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""));
        self.out
    }

    pub fn has_worked(&self) -> bool {
        self.code == Some(0)
    }

    #[track_caller]
    pub fn text(self) -> String {
        String::from_utf8(self.ok()).expect("text")
    }

    #[track_caller]
    pub fn json(self) -> Value {
        serde_json::from_slice(&self.ok()).expect("JSON")
    }

    /// It failed with `code`, and its message has all of `parts`.
    #[track_caller]
    pub fn fails(self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.err);
        for part in parts {
            assert!(self.err.contains(part), "no {part:?} in: {}", self.err);
        }
    }
}

/// A terminal, and what was written to it.
pub struct Terminal {
    master: File,
    pub slave: PathBuf,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Of the size that most have.
    pub fn new() -> Self {
        Self::sized(80, 24)
    }

    pub fn sized(columns: u16, rows: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("grant");
        unlockpt(&master).expect("unlock");
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size).expect("its size");
        let name = ptsname(&master, Vec::new()).expect("its name");
        let master = File::from(master);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, kept) = (master.try_clone().expect("a descriptor"), shown.clone());
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                kept.lock()
                    .expect("no panics")
                    .extend_from_slice(&buffer[..count]);
            }
        });
        Self {
            master,
            slave: PathBuf::from(std::ffi::OsString::from(name.to_str().expect("a path"))),
            shown,
        }
    }

    /// The end that the command gets.
    pub fn end(&self) -> Stdio {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.slave)
            .expect("its other end")
            .into()
    }

    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("no panics")).into_owned()
    }

    pub fn type_in(&mut self, text: &str) {
        self.master
            .write_all(text.as_bytes())
            .expect("the terminal");
    }

    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        wait_until(
            || self.shown().contains(text),
            || {
                let shown = self.shown();
                let end: Vec<char> = shown.chars().rev().take(2000).collect();
                format!(
                    "no {text:?} at the end of: {}",
                    end.iter().rev().collect::<String>()
                )
            },
        );
    }
}

#[track_caller]
pub fn wait_until(mut done: impl FnMut() -> bool, complaint: impl Fn() -> String) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{}", complaint());
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits for `child` with patience that ends.
#[track_caller]
pub fn wait(child: &mut Child) -> Option<i32> {
    let mut status = None;
    wait_until(
        || {
            status = child.try_wait().expect("a child of ours");
            status.is_some()
        },
        || "it does not end".to_owned(),
    );
    status.and_then(|status| status.code())
}

/// Whether a tool is there to test with.
pub fn has(tool: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).any(|folder| folder.join(Path::new(tool)).exists());
    if !found {
        eprintln!("skipped: there is no {tool}");
    }
    found
}
