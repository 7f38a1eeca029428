//! The integration tests: one binary, one module a subject.

mod breakdowns;
mod children;
mod fixtures;
mod foreign;
mod frames;
mod graphs;
mod in_use;
mod layers;
mod other_tools;
mod profile_file;
mod rendering;
mod reports;
mod sampling;
mod snapshots;
