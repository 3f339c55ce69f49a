//! What nodes and their coordinator know of a mesh, and say to each other.
//!
//! All of it is JSON when it travels or lies in a file, so that a person can read it. A field that a reader
//! does not know is ignored, and one that is missing has its default: old and new versions work together.
//!
//! | module | holds |
//! |---|---|
//! | [`map`] | the mesh as a node sees it: peers, relays, names |

pub mod map;
