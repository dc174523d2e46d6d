//! The functions by which WiredTiger finds the extension.
#![expect(unsafe_code, reason = "called by WiredTiger")]

use super::{
    close,
    config::CallConfig,
    guard::{EINVAL, memory, panic_text, report},
    host::Wired,
    library,
    methods::Adapter,
    notify::Notify,
};
use crate::{
    config::ConnectionOptions,
    error::{Code, Error, Result},
    source::Source,
};
use std::{
    ffi::{CStr, OsStr, c_int},
    os::unix::ffi::OsStrExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    ptr::{self, NonNull},
    sync::Arc,
};
use wiredtiger_abi::{
    running_version,
    v3_2::{ConfigArg, Connection, RELEASE},
};

const PREFIX: &CStr = c"helium:";
/// Where WiredTiger keeps where its metadata is.
const TURTLE: &str = "WiredTiger.turtle";
/// What `WT_SESSION.create` takes besides its own options.
const CREATE_OPTIONS: [&CStr; 2] = [c"helium_o_compress=0", c"helium_o_truncate=0"];

/// Loads the data source into a connection: opens the configured volumes and registers
/// `helium:`.
///
/// # Safety
///
/// WiredTiger calls this with a connection that is being opened, or that loads an
/// extension, and that extension's configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wiredtiger_extension_init(
    connection: *mut Connection,
    config: *mut ConfigArg,
) -> c_int {
    // SAFETY: the caller vouches for a connection of some release.
    let version = unsafe { running_version(connection.cast()) };
    let Some(connection) = NonNull::new(connection).filter(|_| version == Ok(RELEASE)) else {
        // Its way of printing is not known, so this once it is the process's own.
        let why = version.map_or_else(
            |why| why,
            |version| format!("WiredTiger {version} is running; {RELEASE} is supported"),
        );
        eprintln!("helium: {why}");
        return EINVAL;
    };
    library::stay_loaded();
    // SAFETY: this release's method, and it answers with the connection's interface.
    let api = unsafe {
        let get = connection.as_ref().get_extension_api;
        get.and_then(|get| NonNull::new(get(connection.as_ptr())))
    };
    let notify = Arc::new(Notify::new());
    // SAFETY: the interface lives as long as the connection.
    let wired = |api| unsafe { Wired::new(api, Arc::clone(&notify)) };
    let (Some(host), Some(teller)) = (api.and_then(wired), api.and_then(wired)) else {
        eprintln!("helium: WiredTiger's extension interface is incomplete");
        return EINVAL;
    };
    // SAFETY: the pointers are this call's.
    let loaded = catch_unwind(AssertUnwindSafe(|| unsafe {
        load(connection, config, host, notify)
    }));
    match loaded {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => report(&teller, None, &error),
        Err(panic) => {
            let text = format!("panic while loading: {}", panic_text(&*panic));
            report(&teller, None, &Error::new(Code::Panic, text))
        }
    }
}

/// Nothing is left to do when this is called: the data source has been terminated.
///
/// # Safety
///
/// Any pointer will do.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wiredtiger_extension_terminate(_connection: *mut Connection) -> c_int {
    0
}

/// # Safety
///
/// As for [`wiredtiger_extension_init`]; the connection's release is ours.
unsafe fn load(
    connection: NonNull<Connection>,
    config: *mut ConfigArg,
    host: Wired,
    notify: Arc<Notify>,
) -> Result<()> {
    if close::is_wrapped(connection) {
        return Err(Error::invalid(
            "the extension is loaded into this connection already, and takes no more volumes: name all of them where it \
             is loaded first",
        ));
    }
    memory()?;
    // SAFETY: the pointers are this call's.
    let config = unsafe { CallConfig::new(host.api(), ptr::null_mut(), config) };
    let pairs = config.pairs()?;
    let items = pairs.iter().map(|(key, value)| (key.item(), value.item()));
    // SAFETY: the caller vouches for the connection.
    let is_new = unsafe { is_new(connection) };
    let options = ConnectionOptions::read(items)?.of_database(is_new);
    // SAFETY: the caller vouches for the connection.
    unsafe { configure_create(connection)? };
    let source = Arc::new(Source::open(host, options)?);
    notify.set_source(Arc::downgrade(&source));
    // SAFETY: as above.
    let adapter = unsafe { Adapter::start(connection, source, notify)? };
    // SAFETY: as above; WiredTiger gives it back to `terminate`.
    unsafe { register(connection, adapter) }
}

/// Whether the database is being made. One whose making was cut short is: extensions are loaded before there is
/// a file that says what the database holds.
///
/// # Safety
///
/// The connection is live and of our release.
unsafe fn is_new(connection: NonNull<Connection>) -> bool {
    // SAFETY: the caller vouches for it.
    unsafe {
        let is_new = connection.as_ref().is_new;
        is_new.is_some_and(|is_new| is_new(connection.as_ptr()) != 0) || !has_turtle(connection)
    }
}

/// Whether what the database holds is written down; of one in memory it is not.
///
/// # Safety
///
/// The connection is live and of our release.
pub unsafe fn has_turtle(connection: NonNull<Connection>) -> bool {
    // SAFETY: this release's method; the home is a C string that lives as long as the connection.
    let home = unsafe {
        let home = connection.as_ref().get_home;
        let home = home.map(|home| home(connection.as_ptr()));
        let home = home.filter(|home| !home.is_null());
        home.map(|home| CStr::from_ptr(home).to_bytes())
    };
    let home = Path::new(OsStr::from_bytes(home.unwrap_or_default()));
    home.join(TURTLE).exists()
}

/// # Safety
///
/// The connection is live and of our release.
unsafe fn configure_create(connection: NonNull<Connection>) -> Result<()> {
    // SAFETY: the caller vouches for it.
    let Some(configure) = (unsafe { connection.as_ref() }).configure_method else {
        return Err(missing("configure_method"));
    };
    for option in CREATE_OPTIONS {
        // SAFETY: all are C strings; there is nothing more to check than the type.
        let number = unsafe {
            configure(
                connection.as_ptr(),
                c"WT_SESSION.create".as_ptr(),
                PREFIX.as_ptr(),
                option.as_ptr(),
                c"boolean".as_ptr(),
                ptr::null(),
            )
        };
        if number != 0 {
            return Err(refused("configure_method", number));
        }
    }
    Ok(())
}

/// # Safety
///
/// The connection is live and of our release.
unsafe fn register(connection: NonNull<Connection>, adapter: Box<Adapter>) -> Result<()> {
    // SAFETY: the caller vouches for it.
    let Some(add) = (unsafe { connection.as_ref() }).add_data_source else {
        adapter.stop()?;
        return Err(missing("add_data_source"));
    };
    let adapter = NonNull::from(Box::leak(adapter));
    // SAFETY: the table stays until WiredTiger calls its terminate.
    let number = unsafe {
        add(
            connection.as_ptr(),
            PREFIX.as_ptr(),
            Adapter::table(adapter),
            ptr::null(),
        )
    };
    if number == 0 {
        return Ok(());
    }
    // SAFETY: WiredTiger did not take it, so it is still ours alone.
    let adapter = unsafe { Box::from_raw(adapter.as_ptr()) };
    adapter.stop()?;
    Err(refused("add_data_source", number))
}

fn missing(method: &str) -> Error {
    Error::invalid(format!("WiredTiger has no WT_CONNECTION.{method}"))
}

fn refused(method: &str, number: c_int) -> Error {
    let text = format!("WT_CONNECTION.{method} was refused (error {number})");
    Error::new(Code::Host(number), text)
}
