//! The store through its public interface, on simulated machines.
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests may panic as tests do"
)]

mod again;
mod ahead;
mod block_device;
mod catalog;
mod checkpoint;
mod checkpoint_figures;
mod clean;
mod clean_figures;
mod common;
mod compress;
mod concurrency;
mod crash_images;
mod damage;
mod full;
mod io_faults;
mod isolation;
mod limits;
mod model;
mod native;
mod settle;
mod several_volumes;
