//! The store through its public interface, on simulated machines.

mod again;
mod ahead;
mod catalog;
mod common;
mod concurrency;
mod crash_images;
mod damage;
mod full;
mod io_faults;
mod isolation;
mod limits;
mod model;
mod settle;
mod several_volumes;
