//! The main job, end to end: tables on two volumes inside the real WiredTiger, killed and recovered.
