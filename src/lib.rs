//! Pratique: the licence that a container image needs to enter the cluster.
//!
//! A Kubernetes validating admission webhook. Every review takes one way, from the left to the right, and
//! [`review`] is that way written down; no room calls one to its left:
//!
//! ```text
//! bytes -> admission::decode -> evidence::scope -> policy::plan -> evidence::gather -> decision::decide
//!          Request              Scope              Plan            Facts               Verdict
//!       -> evidence::remember -> observe::record -> admission::encode -> bytes
//! ```
//!
//! `evidence` holds all IO and `decision` none; they never name each other and meet in [`fact`]. Which room may name
//! which is held by `tests/layering.rs`.

pub mod admission;
pub mod args;
pub mod command;
pub mod config;
pub mod controller;
pub mod decision;
pub mod evidence;
pub mod fact;
pub mod image;
pub mod observe;
pub mod policy;
pub mod request;
pub mod review;
pub mod server;
