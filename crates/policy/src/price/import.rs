//! Price lists of others, read into `prices.yml`.
