//! People and places by rules alone.
