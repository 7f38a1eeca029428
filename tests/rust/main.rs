//! The integration tests: one binary, one module a subject.

mod breakdowns;
mod children;
mod fixtures;
mod foreign;
mod frames;
mod in_use;
mod layers;
mod profile_file;
mod rendering;
mod reports;
mod sampling;
