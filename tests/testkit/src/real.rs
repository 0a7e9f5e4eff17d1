//! Real programs for tests that run them: registries and their clients, as `tests/real-parts/build.sh` provides them,
//! and the images that they push.

mod authority;
mod image;
mod parts;
mod running;
mod server;

pub use authority::Authority;
pub use image::{Format, Layout};
pub use parts::{Client, built, run_in};
pub use running::{Running, free_port};
pub use server::{Door, Gone, Kind, PASSWORD, Server, USER, encoded};
