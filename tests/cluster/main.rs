//! The real program in a real cluster: etcd, kube-apiserver and kube-controller-manager, what we ship applied as it is,
//! and real `kubectl` for what users see.
//!
//! Nothing leaves 127.0.0.1, and no node is there: Pods are made and stay `Pending`. `tests/real-parts/build.sh cluster`
//! provides the programs; `.ci/run cluster` does all of it.

#![expect(clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod asked;
mod away;
mod basics;
mod certificates;
mod crd;
mod events;
mod guards;
mod installed;
mod lint;
mod ourselves;
mod policies;
mod private;
mod reached;
mod registration;
mod rights;
mod rollout;
mod running;
mod scenes;
mod secrets;
mod shipped;
mod status;
mod unlabelled;
mod watches;
