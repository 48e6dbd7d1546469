//! The tier from outside: what is written comes back, and nothing else does.

mod rig;
mod round;
