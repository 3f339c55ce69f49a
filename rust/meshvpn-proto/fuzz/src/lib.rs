//! The fuzz targets of meshvpn-proto as plain functions.

pub mod targets;
