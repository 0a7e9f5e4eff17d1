//! Every command that the documentation shows is run here as it stands there, or is marked with why not.
