//! The world on bare tasks, below regions and contexts.

use super::*;
