//! The rules by which Affine's validators compared models before and after the Beta intervals of [`rank`](super::rank).
//!
//! [`epsilon_pareto`] (August to October 2025) ranks many models; [`window_2026`] (since May 2026) has one challenger against
//! the champion.

pub mod epsilon_pareto;
pub mod window_2026;
