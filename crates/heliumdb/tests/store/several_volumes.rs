//! several_volumes
