//! The integration tests: one binary, one module a subject.

mod children;
mod fixtures;
mod layers;
mod profile_file;
mod rendering;
mod reports;
mod sampling;
