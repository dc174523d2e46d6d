//! The data source core against a WiredTiger that is simulated.

mod cursors;
mod inherited;
mod objects;
mod settling;
mod sim;
mod writes;
