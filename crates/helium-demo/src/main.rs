//! `helium-demo`: see the library of the same name.

use std::process::ExitCode;

fn main() -> ExitCode {
    match helium_demo::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("helium-demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}
