//! The real `helium`, run as people and scripts run it.

mod bench;
mod copies;
mod errors;
mod harness;
mod hostile;
mod interrupted;
mod killed;
mod limits;
mod lost;
mod roundtrip;
mod session;
mod targets;
mod terminal;
mod through;
mod top;
