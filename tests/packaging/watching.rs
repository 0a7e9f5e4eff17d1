//! Alerts and dashboard, asked of a real Prometheus that has scraped the real program.
