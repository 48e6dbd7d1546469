//! A simulated farm of servers: cores that pick in turn, requests that take time, servers that are slow,
//! die and come back. Seeded and in virtual time, so that each run is the same.

mod cores;
mod fairness;
mod keys;
mod slow;
mod tiers;
mod world;
