//! Scripted streams, cancelled and dropped at every poll.
