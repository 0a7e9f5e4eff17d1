//! A cluster with a node on which our Pods really run, and a shell in a copy of our repository: what a reader has.
