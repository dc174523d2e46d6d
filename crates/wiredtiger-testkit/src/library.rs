//! Finding and loading the real library.
//!
//! Invariant: a library that was loaded stays loaded until the process ends, and
//! is of the release whose layouts this crate uses.
#![expect(unsafe_code, reason = "loads a C library")]

use std::ffi::{c_char, c_int};
use std::sync::OnceLock;

use wiredtiger_abi::{Version, v3_2};

/// The loaded WiredTiger library.
#[derive(Debug)]
pub struct Library {
    pub(crate) open: v3_2::WiredtigerOpen,
    version: Version,
}

impl Library {
    /// Loads the library, once per process. The error is a sentence that says what to install.
    pub fn load() -> std::result::Result<&'static Self, String> {
        static LIBRARY: OnceLock<std::result::Result<Library, String>> = OnceLock::new();
        LIBRARY
            .get_or_init(Self::find)
            .as_ref()
            .map_err(Clone::clone)
    }

    /// The release that was found.
    pub fn version(&self) -> Version {
        self.version
    }

    fn find() -> std::result::Result<Self, String> {
        let library = NAMES
            .iter()
            // SAFETY: WiredTiger's library has no initialisers with effects of their own.
            .find_map(|name| unsafe { libloading::Library::new(name) }.ok())
            .ok_or_else(|| {
                format!(
                    "no WiredTiger library ({}) found; {HOW_TO_INSTALL}",
                    NAMES.join(", ")
                )
            })?;
        let version = version_of(&library)?;
        if version != v3_2::RELEASE {
            return Err(format!(
                "WiredTiger {version} is installed, but {} is needed; {HOW_TO_INSTALL}",
                v3_2::RELEASE
            ));
        }
        // SAFETY: the release was checked, and has this function with this type.
        let open = unsafe { library.get::<v3_2::WiredtigerOpen>(b"wiredtiger_open\0") }
            .map(|symbol| *symbol)
            .map_err(|why| format!("the WiredTiger library cannot be used: {why}"))?;
        // The function pointer must stay good for ever.
        std::mem::forget(library);
        Ok(Self { open, version })
    }
}

const NAMES: [&str; 2] = ["libwiredtiger.so.0", "libwiredtiger.so"];

const HOW_TO_INSTALL: &str = "on Debian 12: apt-get install libwiredtiger-dev wiredtiger";

fn version_of(library: &libloading::Library) -> std::result::Result<Version, String> {
    type VersionFn = unsafe extern "C" fn(*mut c_int, *mut c_int, *mut c_int) -> *const c_char;
    // SAFETY: the function has had this type in every release.
    let version = unsafe { library.get::<VersionFn>(b"wiredtiger_version\0") }
        .map_err(|why| format!("the WiredTiger library cannot be used: {why}"))?;
    let (mut major, mut minor, mut patch) = (0, 0, 0);
    // SAFETY: the function only stores through its three pointers.
    unsafe { version(&mut major, &mut minor, &mut patch) };
    Ok(Version {
        major: major.unsigned_abs(),
        minor: minor.unsigned_abs(),
        patch: patch.unsigned_abs(),
    })
}
