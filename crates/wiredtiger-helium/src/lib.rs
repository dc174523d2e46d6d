//! WiredTiger data source that keeps tables on Helium volumes.
