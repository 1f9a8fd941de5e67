//! Pairs of definitions.
