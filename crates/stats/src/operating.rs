//! How often each rule of a gate errs, found by simulation: see "Operating characteristics" in `docs/gates.md`.
//!
//! A part of the library and not of its tests, so that a program can ask it about its own numbers of cases.
