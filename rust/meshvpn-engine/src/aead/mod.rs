//! The fast implementations behind `meshvpn_proto`'s AEAD seam, and the choice between them.
