//! The tier from outside: what is written comes back, and nothing else does.

mod crash;
mod damage;
mod directory;
mod faults;
mod large;
mod model;
mod rig;
mod round;
mod threads;
