//! What is installed is used from where it was installed: a C program is compiled by pkg-config and
//! runs, the command runs, WiredTiger loads the data source, debuggers find the symbols, and the manuals are good pages.
//! Then it is taken away again, and nothing else.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

use std::{
    ffi::OsStr,
    fs,
    path::Path,
    process::{Command, Output},
};

#[test]
fn what_is_installed_works_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().join("prefix");
    let foreign = prefix.join("lib/libother.so");
    fs::create_dir_all(prefix.join("lib")).unwrap();
    fs::write(&foreign, "another program's").unwrap();
    xtask(&["install", "--debug"], &prefix);
    let whole = fs::read(prefix.join("lib/libhe.so.1")).unwrap();
    xtask(&["install", "--debug", "--debug-files"], &prefix);
    symbols_are_beside(&prefix, &whole);
    the_command_runs(&prefix);
    programs_compile(&prefix, folder.path());
    if has("wt") {
        wiredtiger_loads(&prefix, folder.path());
    }
    if has("groff") {
        pages_are_good(&prefix);
    }
    let left = files(&prefix).into_iter();
    let fresh: Vec<_> = left.filter(|file| file.ends_with(".new")).collect();
    assert!(fresh.is_empty(), "{fresh:?}");
    // What is installed without them has none of them left, and the whole of it goes.
    xtask(&["install", "--debug"], &prefix);
    let left = files(&prefix).into_iter();
    let symbols: Vec<_> = left.filter(|file| file.ends_with(".debug")).collect();
    assert!(symbols.is_empty(), "{symbols:?}");
    xtask(&["uninstall"], &prefix);
    assert_eq!(files(&prefix), [foreign.display().to_string()]);
    let folders: Vec<_> = fs::read_dir(&prefix).unwrap().flatten().collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
}

fn xtask(arguments: &[&str], prefix: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    done(command.args(arguments).arg("--prefix").arg(prefix));
}

/// Of a file that has none itself: a debugger says where in the source a function is.
fn symbols_are_beside(prefix: &Path, whole: &[u8]) {
    for file in [
        "lib/libhe.so.1",
        "lib/libwiredtiger_helium.so",
        "bin/helium",
    ] {
        let file = prefix.join(file);
        let sections = text(Command::new("readelf").args(["-SW"]).arg(&file));
        assert!(!sections.contains(".debug_info"), "{}", file.display());
        assert!(!sections.contains(".symtab"), "{}", file.display());
        let symbols = file.display().to_string() + ".debug";
        let sections = text(Command::new("readelf").args(["-SW"]).arg(symbols));
        assert!(sections.contains(".debug_info"), "{}", file.display());
    }
    let archive = prefix.join("lib/libhe.a");
    let sections = text(Command::new("readelf").args(["-SW"]).arg(archive));
    assert!(!sections.contains(".debug_info"), "libhe.a");
    let library = prefix.join("lib/libhe.so.1");
    let bytes = fs::metadata(&library).unwrap().len();
    assert!(bytes < whole.len() as u64 / 2, "{bytes} of {}", whole.len());
    let names = text(
        Command::new("nm")
            .args(["-D", "--defined-only"])
            .arg(&library),
    );
    let address = names.lines().find(|line| line.ends_with(" T he_commit"));
    let (address, _) = address.unwrap().split_once(' ').unwrap();
    let place = text(
        Command::new("addr2line")
            .arg("-e")
            .arg(&library)
            .arg(address),
    );
    assert!(place.contains("/libhe/src/boundary/"), "{place}");
}

fn the_command_runs(prefix: &Path) {
    let version = text(Command::new(prefix.join("bin/helium")).arg("--version"));
    assert!(version.starts_with("helium "), "{version}");
    let script = prefix.join("share/bash-completion/completions/helium");
    done(Command::new("bash").arg("-n").arg(script));
    for file in [
        "share/zsh/site-functions/_helium",
        "share/fish/vendor_completions.d/helium.fish",
    ] {
        let script = fs::read_to_string(prefix.join(file)).unwrap();
        assert!(script.contains("truncate"), "{file}");
    }
}

/// With the shared library by pkg-config, and with the static one.
fn programs_compile(prefix: &Path, folder: &Path) {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/libhe.md");
    let document = fs::read_to_string(document).unwrap();
    let (_, rest) = document.split_once("```c\n").unwrap();
    let (source, _) = rest.split_once("```").unwrap();
    fs::write(folder.join("fruit.c"), source).unwrap();
    let of_package = |wanted: &[&str]| {
        let mut command = Command::new("pkg-config");
        command.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
        let words = text(command.args(wanted).arg("he"));
        words.split_whitespace().map(str::to_owned).collect()
    };
    let shared: Vec<String> = of_package(&["--cflags", "--libs"]);
    let mut newer: Vec<String> = of_package(&["--define-variable=api=3.x", "--cflags", "--libs"]);
    newer.push("-Wall".into());
    let mut fixed: Vec<String> = of_package(&["--cflags"]);
    fixed.push(prefix.join("lib/libhe.a").display().to_string());
    let private: Vec<String> = of_package(&["--static", "--libs-only-l"]);
    fixed.extend(private.into_iter().filter(|word| word != "-lhe"));
    for (name, words) in [("shared", shared), ("newer", newer), ("fixed", fixed)] {
        let program = folder.join(name);
        let mut compiler = Command::new("cc");
        compiler.arg(folder.join("fruit.c")).arg("-o").arg(&program);
        done(compiler.args(words));
        let mut run = Command::new(&program);
        run.current_dir(folder)
            .env("LD_LIBRARY_PATH", prefix.join("lib"));
        assert_eq!(text(&mut run), "apple: red\n", "{name}");
        fs::remove_file(folder.join("fruit.he")).unwrap();
    }
}

fn wiredtiger_loads(prefix: &Path, folder: &Path) {
    let home = folder.join("home");
    fs::create_dir(&home).unwrap();
    let library = prefix.join("lib/libwiredtiger_helium.so");
    let config = format!(
        "create,extensions=[{}=[config=[dev1=[helium_devices=[\"he://./{}\"]]]]]",
        library.display(),
        folder.join("dev1").display()
    );
    let wt = |arguments: &[&str]| {
        let mut command = Command::new("wt");
        command.arg("-h").arg(&home).args(["-C", &config]);
        text(command.args(arguments))
    };
    wt(&["create", "-c", "type=helium", "helium:dev1/rows"]);
    assert!(wt(&["list"]).contains("helium:dev1/rows"));
}

/// groff has nothing to complain of, and man shows them.
fn pages_are_good(prefix: &Path) {
    let man = prefix.join("share/man");
    let pages = files(&man);
    for name in ["man1/helium.1", "man1/helium-bench.1", "man3/he_open.3"] {
        let page = man.join(name).display().to_string();
        assert!(pages.contains(&page), "{name} is not there: {pages:?}");
    }
    for page in &pages {
        let mut groff = Command::new("groff");
        groff.args(["-ww", "-man", "-z", "-Tutf8", page]);
        let said = done(groff.current_dir(&man));
        let complaints = String::from_utf8_lossy(&said.stderr);
        assert!(complaints.is_empty(), "{page}: {complaints}");
    }
    if has("mandoc") {
        for page in pages.iter().filter(|page| !is_alias(page)) {
            let mut lint = Command::new("mandoc");
            let said = lint.args(["-T", "lint", "-W", "warning", page]).output();
            let said = String::from_utf8(said.unwrap().stdout).unwrap();
            assert!(said.is_empty(), "{said}");
        }
    }
    if has("man") {
        // The header and its structures are told of in he(3).
        for (name, says) in [
            ("he_open", "HE_O_VOLUME_CREATE"),
            ("he_stats", "valid_items"),
            ("he", "struct he_item"),
            ("he.h", "struct he_item"),
            ("he_item", "struct he_item"),
            ("he_env", "struct he_env"),
        ] {
            let mut show = Command::new("man");
            show.args(["-P", "cat", "-M"]).arg(&man).args(["3", name]);
            let shown = text(show.env("LC_ALL", "C").env("MANPAGER", "cat"));
            assert!(shown.contains(says), "{name}: {shown}");
        }
    }
}

/// Whether a page only names another one.
fn is_alias(page: &str) -> bool {
    fs::read_to_string(page).unwrap().starts_with(".so ")
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found
}

#[track_caller]
fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

#[track_caller]
fn text(command: &mut Command) -> String {
    String::from_utf8(done(command).stdout).unwrap()
}

fn has(tool: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let is_there =
        std::env::split_paths(&paths).any(|folder| folder.join(OsStr::new(tool)).exists());
    if !is_there {
        eprintln!("not all is tested: there is no {tool}");
    }
    is_there
}
