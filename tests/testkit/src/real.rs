//! Real programs for tests that run them, as `tests/real-parts/build.sh` provides them: registries and their clients with
//! the images that they push, and a Kubernetes cluster with what stands for a Service in it.

mod authority;
mod cluster;
mod forwarder;
mod image;
mod kubelet;
mod parts;
mod running;
mod server;

pub use authority::Authority;
pub use cluster::{Cluster, steady_port};
pub use forwarder::{Forwarder, Probe, get};
pub use image::{Format, Layout};
pub use kubelet::{Kubelet, Workload};
pub use parts::{Client, built, provided, run_in};
pub use running::{Running, free_port};
pub use server::{Door, Gone, Kind, PASSWORD, Server, USER, encoded};
