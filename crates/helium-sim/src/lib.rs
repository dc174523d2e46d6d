//! A simulated disk and crash tests for heliumdb.
