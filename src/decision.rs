//! The answer: a pure function of plan, facts and time. The only room that can make a [`verdict::Permit`].

pub mod verdict;
