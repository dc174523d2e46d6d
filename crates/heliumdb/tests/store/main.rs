//! The store through its public interface, on simulated machines.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests have files, threads and times of their own"
)]
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests may panic as tests do"
)]

mod again;
mod ahead;
mod at_hand;
mod backup;
mod bad_input;
mod bank;
mod block_device;
mod catalog;
mod checkpoint;
mod checkpoint_figures;
mod checkpoint_races;
mod clean;
mod clean_figures;
mod clean_free;
mod clean_recovery;
mod common;
mod compress;
mod concurrency;
mod copied_decider;
mod copied_superblocks;
mod crash_images;
mod creation;
mod cut;
mod damage;
mod delete_range;
mod deletes;
mod doubts;
mod figures;
mod filled;
mod full;
mod handles;
mod in_vain;
mod io_faults;
mod isolation;
mod joined;
mod keys_only;
mod late_errors;
mod limits;
mod lost;
mod lost_headers;
mod many;
mod model;
mod mounted;
mod names;
mod native;
mod neighbours;
mod no_room;
mod opener;
mod options;
mod order;
mod outcomes;
mod passed;
mod replays;
mod retired;
mod room;
mod salvage;
mod settle;
mod several_volumes;
mod small;
mod smallest;
mod space;
mod syncs;
mod taken_back;
mod taking;
mod thread_end;
mod tight;
mod unfinished;
mod unordered;
mod versions;
mod views;
mod waits;
mod walks;
mod warm_walks;
