//! The memprofile kernel: a supervisor between Jupyter and a stock ipykernel.
//!
//! ```text
//! front ends  <- tcp, 5 ports ->  supervisor  <- ipc, a private folder ->  ipykernel
//! ```
//!
//! What both sides say passes byte for byte, so whatever a stock kernel can, this one can. The
//! supervisor adds what only a second process is able to: it lives on when the child is gone, or
//! when native code holds the child's interpreter. One thread waits for all sockets, the child's
//! end, signals and its own parent's end at once; it never waits for a single one of them. Towards the front
//! ends it uses ZeroMQ, whose clients they are; towards the child a few lines of its own ([`zmtp`]).
//!
//! # Invariants
//!
//! - A message is parsed to be understood, never to be written again.
//! - No send waits. A front end that does not read loses what it does not read; the others do not.
//! - No request reaches a child before we have subscribed to what it says: nothing is lost.
//! - Our own messages carry a request's header as parent and lie between its `busy` and its `idle`.
//! - Each request gets one reply, the child's or ours.

mod after_death;
mod black_box;
mod child;
mod connection;
mod death;
mod faults;
mod limit_watch;
mod link;
mod live;
mod memory;
mod message;
mod private_folder;
mod relay;
mod requests;
mod sockets;
mod torn;
mod watched;
pub mod wire;
pub mod zmtp;

pub use connection::Connection;
pub use relay::run;
pub use watched::end_with_parent;
