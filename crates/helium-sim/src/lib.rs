//! A simulated machine to test the store on: disks that lose, tear, reorder and lie, a keeper of
//! transactions, and models of what the store must answer.
//!
//! Everything random comes from one [`seed`], so that a failure is replayed by its number.

mod agree;
mod blocks;
mod disk;
mod driver;
mod fault;
mod history;
mod image;
mod keeper;
mod latch;
mod machine;
mod model;
mod options;
mod replay;
pub mod seed;
mod superblock;
mod torn;

pub use agree::difference;
pub use driver::{Driver, Event, Place, dump};
pub use fault::{Fault, FaultKind, On};
pub use history::{History, LogEvent, State};
pub use image::Image;
pub use keeper::{Keeper, KeptView};
pub use latch::{Latch, Operation, Verdict};
pub use machine::{DiskId, Machine, Recorded};
pub use model::{Model, Outcome};
pub use options::{DriverOptions, sim_options};
pub use replay::{Case, Replay, Tells, last_case};
pub use superblock::change_superblocks;
