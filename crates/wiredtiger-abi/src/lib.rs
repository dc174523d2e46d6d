//! Hand-written layouts of WiredTiger's public C structures.
