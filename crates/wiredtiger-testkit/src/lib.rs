//! A small safe wrapper of the real WiredTiger library, for tests and the demo.
