//! The project's own measurements.
