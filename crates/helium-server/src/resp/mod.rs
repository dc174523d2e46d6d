//! The protocol, RESP in its versions 2 and 3: requests in, replies out. It knows nothing of commands.

mod inline;
mod reply;
mod request;

pub use reply::{Protocol, Replies};
pub use request::{Limits, ProtocolError, Request, Requests};
