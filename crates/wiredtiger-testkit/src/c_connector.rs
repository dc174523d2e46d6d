//! The C connector, the extension that kept tables on Helium volumes before this project's: built
//! on the project's own `libhe.so`, for tests that what one of the two wrote is there for the other.
//!
//! Its source is not part of the project. It is compiled where it is found beside the checkout,
//! changed only where WiredTiger 3.2.1's extension interface is another than that of its time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Library, helium};

/// Where the source is, from this crate's folder.
const SOURCE: &str = "../../../shared/seed/helium.c";

/// What WiredTiger 3.2.1 forces: old text, and new.
const CHANGES: [(&str, &str); 5] = [
    // The table of methods has got new ones in between.
    (
        "\t\thelium_session_create,\t\t/* session.create */",
        "\t\t.create = helium_session_create,",
    ),
    (
        "\t\thelium_session_truncate,\t/* session.truncate */",
        "\t\t.truncate = helium_session_truncate,",
    ),
    // The configuration comes without `config=` around it.
    (
        "wtext->config_get(wtext, NULL, config, \"config\", &v)) != 0)",
        "0) != 0)",
    ),
    (
        "wtext->config_parser_open(\n\t    wtext, NULL, v.str, v.len, &config_parser)) != 0)\n\t\tEMSG_ERR(wtext, NULL, ret,\n\t\t    \"WT_EXTENSION_API.config_parser_open: config: %s\"",
        "wtext->config_parser_open_arg(\n\t    wtext, NULL, config, &config_parser)) != 0)\n\t\tEMSG_ERR(wtext, NULL, ret,\n\t\t    \"WT_EXTENSION_API.config_parser_open: config: %s\"",
    ),
    (
        "\"session.create\", \"helium:\"",
        "\"WT_SESSION.create\", \"helium:\"",
    ),
];

/// Where the build left `libhe.so`; `HELIUM_LIBHE` names another folder. It is there under the name
/// that programs record, too, as an installation has it.
pub fn libhe() -> Result<PathBuf, String> {
    let library = match std::env::var_os("HELIUM_LIBHE") {
        Some(folder) => Path::new(&folder).join("libhe.so"),
        None => helium::built("libhe.so", "libhe")?,
    };
    let recorded = library.with_file_name("libhe.so.1");
    match std::os::unix::fs::symlink("libhe.so", &recorded) {
        Err(why) if why.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(format!("{}: {why}", recorded.display()))
        }
        _ => Ok(library),
    }
}

/// Compiles the connector in `folder`. The error says why that cannot be done here, if its source,
/// or WiredTiger, is not on this machine.
///
/// # Panics
///
/// If it is, and does not compile.
pub fn compile(folder: &Path) -> Result<PathBuf, String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = crates.join(SOURCE);
    let mut source =
        fs::read_to_string(&path).map_err(|why| format!("{}: {why}", path.display()))?;
    Library::load()?;
    for (old, new) in CHANGES {
        assert_eq!(source.matches(old).count(), 1, "{old}");
        source = source.replace(old, new);
    }
    let library = libhe()?;
    let beside = library.parent().unwrap_or(Path::new("."));
    let file = folder.join("helium.c");
    let extension = folder.join("libhelium_connector.so");
    fs::write(&file, source).map_err(|why| format!("{}: {why}", file.display()))?;
    // Warnings are its own business.
    let mut compiler = Command::new("cc");
    compiler
        .args(["-g", "-O1", "-w", "-fPIC", "-shared", "-pthread"])
        .arg("-I")
        .arg(crates.join("../libhe/include/2.2"))
        .arg(&file)
        .arg("-o")
        .arg(&extension)
        .arg(format!("-L{}", beside.display()))
        .arg("-lhe")
        // That place goes before those that cargo has in the environment of tests.
        .arg("-Wl,--disable-new-dtags")
        .arg(format!("-Wl,-rpath,{}", beside.display()));
    let output = compiler.output();
    let output = output.map_err(|why| format!("no C compiler: {why}"))?;
    assert!(
        output.status.success(),
        "{compiler:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(extension)
}
