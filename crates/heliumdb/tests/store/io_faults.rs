//! io_faults
