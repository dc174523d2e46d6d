//! A server in this process, and clients of it: our own, which see every byte, and real ones.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod at_hand;
mod browser;
mod clients;
mod differential;
mod durable;
mod harness;
mod helium;
mod hostile;
mod mangled;
mod metrics;
mod proxy;
mod tls;
mod transactions;
mod users;
