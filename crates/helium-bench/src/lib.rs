//! The same work on any ordered store: what the project's figures are measured with.
//!
//! A store is put behind [`Engine`]; [`work`] lists the pieces of work, [`run`] does them
//! and prints a table. Engines of other projects live in the `bench-compare` workspace, so
//! that nobody builds them to run the tests. [`wiredtiger`] measures the data source inside the
//! real WiredTiger beside that one's own tables. [`figures`] has what is not a rate of a store's
//! usual work: memory, cold reads, reopening, checkpoints, backup.

pub mod engine;
pub mod figures;
pub mod helium;
pub mod latency;
pub mod order;
pub mod process;
pub mod run;
pub mod space;
pub mod wiredtiger;
pub mod work;

pub use engine::Engine;
