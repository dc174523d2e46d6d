//! The line that replays a failure, and what is said and kept of it.
//!
//! A test works through seeds, and through many cases of a seed: images of a power loss, faults. Invariant: what a
//! case does depends on the seed and its own number alone, so that one line replays it, and no other.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use rand::rngs::SmallRng;

use crate::{image::Image, seed};

/// Says, if the thread panics while this lives, how to see it again.
pub struct Replay {
    seed: u64,
    /// It was said already, of the case that failed.
    is_said: AtomicBool,
}

/// One of the many cases of a seed.
pub struct Case<'a> {
    of: &'a Replay,
    number: u64,
}

impl Replay {
    /// Of what the test does with `seed`.
    pub fn new(seed: u64) -> Self {
        let is_said = AtomicBool::new(false);
        Self { seed, is_said }
    }

    /// The case with this number; `None` if the environment's `HELIUM_CASE` asks for another one.
    pub fn case(&self, number: u64) -> Option<Case<'_>> {
        let is_wanted = last_case().is_none_or(|wanted| wanted == number);
        is_wanted.then_some(Case { of: self, number })
    }

    fn line(&self, case: &str) -> String {
        format!("replay with HELIUM_SEED={}{case} {}", self.seed, command())
    }
}

impl Case<'_> {
    /// Its random numbers.
    pub fn rng(&self) -> SmallRng {
        seed::rng_of_case(self.of.seed, self.number)
    }

    /// Where the environment's `HELIUM_KEEP_IMAGES` names a folder, and one case is replayed: puts the disks there,
    /// as files that the `helium` command opens.
    pub fn keep(&self, images: &[Image]) {
        if let Some(folder) = std::env::var_os("HELIUM_KEEP_IMAGES")
            && last_case().is_some()
        {
            for (disk, image) in images.iter().enumerate() {
                let path = Path::new(&folder).join(format!("disk{disk}"));
                let kept = image.save(&path);
                kept.unwrap_or_else(|why| panic!("{}: {why}", path.display()));
            }
        }
    }

    fn line(&self) -> String {
        self.of.line(&format!(" HELIUM_CASE={}", self.number))
    }
}

/// The case after which nothing is of interest any more, if one is replayed.
pub fn last_case() -> Option<u64> {
    seed::number("HELIUM_CASE")
}

/// What runs the test of this thread, which has its name.
fn command() -> String {
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_else(|_| "heliumdb".to_owned());
    let program = std::env::current_exe().ok();
    let program = program.as_deref().and_then(Path::file_stem);
    let program = program.map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let target = match program.rsplit_once('-') {
        Some((name, _)) if name != package.replace('-', "_") => format!("--test {name}"),
        _ => "--lib".to_owned(),
    };
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("TEST");
    format!("cargo test -p {package} {target} -- --exact {test}")
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.is_said.load(Relaxed) {
            eprintln!("{}", self.line(""));
        }
    }
}

impl Drop for Case<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.line());
            self.of.is_said.store(true, Relaxed);
        }
    }
}

/// Says more, if the thread panics while this lives. It takes no time if it does not.
pub struct Tells<F: Fn() -> String>(pub F);

impl<F: Fn() -> String> Drop for Tells<F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn the_line_names_seed_case_and_this_test_alone() {
        let replay = Replay::new(7);
        let case = Case {
            of: &replay,
            number: 12,
        };
        assert_eq!(
            case.line(),
            "replay with HELIUM_SEED=7 HELIUM_CASE=12 cargo test -p helium-sim --lib -- --exact \
             replay::tests::the_line_names_seed_case_and_this_test_alone"
        );
    }

    #[test]
    fn cases_have_random_numbers_of_their_own() {
        let first = |seed, case| seed::rng_of_case(seed, case).random::<u64>();
        let mut seen: Vec<u64> = (0..40)
            .flat_map(|seed| (0..40).map(move |case| first(seed, case)))
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1600);
        assert_eq!(first(3, 4), first(3, 4));
    }
}
