//! Coordinators on a store in memory, with nodes as production has them, and time that only tests move.

mod auth;
mod mesh;
mod routes;
mod shared;
mod world;
