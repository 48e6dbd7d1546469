//! What patterns mean.
