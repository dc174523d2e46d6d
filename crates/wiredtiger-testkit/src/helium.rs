//! The project's extension: where it was built, and how to ask for it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The file name of the extension.
pub const FILE_NAME: &str = "libwiredtiger_helium.so";

/// Where the extension is: beside the running program, as the build left it.
/// `HELIUM_EXTENSION` overrides that.
pub fn extension_path() -> Result<PathBuf, String> {
    match std::env::var_os("HELIUM_EXTENSION") {
        Some(path) => Ok(path.into()),
        None => built(FILE_NAME, "wiredtiger-helium"),
    }
}

/// Where the build left a shared library of the project's.
///
/// Cargo puts it into `deps` whenever it builds tests that need it, and links it one folder up
/// only when it is built for itself, so the newer of the two is the right one.
pub fn built(file_name: &str, package: &str) -> Result<PathBuf, String> {
    let program = std::env::current_exe()
        .map_err(|why| format!("cannot tell which program is running: {why}"))?;
    let folder = program.parent().unwrap_or(Path::new("."));
    let places = [
        folder.join(file_name),
        folder.join("deps").join(file_name),
        folder.join("..").join(file_name),
    ];
    let built = places.iter().filter_map(|path| {
        let time = path
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok()?;
        Some((time, path))
    });
    let (_, newest) = built.max().ok_or_else(|| {
        format!(
            "{file_name} is not beside {}; build it with: cargo build -p {package}",
            program.display()
        )
    })?;
    newest
        .canonicalize()
        .map_err(|why| format!("{}: {why}", newest.display()))
}

/// A volume of the extension's configuration.
#[derive(Debug, Clone)]
pub struct Volume {
    name: String,
    devices: Vec<String>,
    options: String,
}

impl Volume {
    /// A volume of one file, named by an absolute path.
    pub fn file(name: &str, path: &Path) -> Self {
        Self::devices(name, &[&format!("he://{}", path.display())])
    }

    /// A volume of devices, each as a `he://` URL.
    pub fn devices(name: &str, urls: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            devices: urls.iter().map(|url| (*url).to_owned()).collect(),
            options: String::new(),
        }
    }

    /// The same with more configuration, such as `helium_o_volume_truncate=1`.
    #[must_use]
    pub fn with(mut self, option: &str) -> Self {
        self.options.push(',');
        self.options.push_str(option);
        self
    }
}

/// The `config=` of the extension: `helium_verbose` and the volumes.
pub fn config(volumes: &[Volume], options: &str) -> String {
    let mut config = String::from("config=[");
    config.push_str(if options.is_empty() {
        "helium_verbose=0"
    } else {
        options
    });
    for Volume {
        name,
        devices,
        options,
    } in volumes
    {
        let devices: Vec<String> = devices.iter().map(|url| format!("\"{url}\"")).collect();
        // Writing to a string cannot fail.
        let _ = write!(
            config,
            ",{name}=[helium_devices=[{}]{options}]",
            devices.join(",")
        );
    }
    config.push(']');
    config
}

/// The `extensions=` of `wiredtiger_open` for volumes and further options.
pub fn extensions_with(volumes: &[Volume], options: &str) -> Result<String, String> {
    let path = extension_path()?;
    Ok(format!(
        "extensions=[\"{}\"=[{}]]",
        path.display(),
        config(volumes, options)
    ))
}

/// The `extensions=` of `wiredtiger_open` for volumes.
pub fn extensions(volumes: &[Volume]) -> Result<String, String> {
    extensions_with(volumes, "")
}
