//! The real `helium`, run as people and scripts run it.

mod bench;
mod copies;
mod errors;
mod harness;
mod interrupted;
mod roundtrip;
mod session;
mod targets;
mod terminal;
mod top;
