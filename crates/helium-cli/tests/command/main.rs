//! The real `helium`, run as people and scripts run it.

mod batch;
mod bench;
mod copies;
mod errors;
mod exits;
mod harness;
mod hostile;
mod interrupted;
mod killed;
mod limits;
mod lost;
mod paths;
mod ranges;
mod roundtrip;
#[cfg(feature = "server")]
mod served;
mod server;
mod session;
mod shell;
mod sizes;
mod targets;
mod terminal;
mod through;
mod top;
mod unsound;
mod wiredtiger;
