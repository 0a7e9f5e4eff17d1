//! From an empty cluster to an empty cluster: overlays and chart installed, asked, upgraded and taken away.
