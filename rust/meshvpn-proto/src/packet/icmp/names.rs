//! Names of ICMP and ICMPv6 types and codes, from IANA's registries of their parameters.

/// Name of a type, and of a code under it.
pub(super) type Names = (Option<&'static str>, Option<&'static str>);

/// Names in ICMP for IPv4.
pub(super) fn v4(kind: u8, code: u8) -> Names {
    let (name, codes): (&'static str, &[&'static str]) = match kind {
        0 => ("Echo Reply", &[]),
        3 => ("Destination Unreachable", &V4_UNREACHABLE),
        4 => ("Source Quench", &[]),
        5 => ("Redirect", &V4_REDIRECT),
        8 => ("Echo Request", &[]),
        9 => ("Router Advertisement", &[]),
        10 => ("Router Solicitation", &[]),
        11 => ("Time Exceeded", &V4_TIME_EXCEEDED),
        12 => ("Parameter Problem", &V4_PARAMETER_PROBLEM),
        13 => ("Timestamp Request", &[]),
        14 => ("Timestamp Reply", &[]),
        15 => ("Information Request", &[]),
        16 => ("Information Reply", &[]),
        17 => ("Address Mask Request", &[]),
        18 => ("Address Mask Reply", &[]),
        42 => ("Extended Echo Request", &[]),
        43 => ("Extended Echo Reply", &EXTENDED_ECHO_REPLY),
        _ => return (None, None),
    };
    (Some(name), codes.get(usize::from(code)).copied())
}

/// Names in ICMP for IPv6.
pub(super) fn v6(kind: u8, code: u8) -> Names {
    let (name, codes): (&'static str, &[&'static str]) = match kind {
        1 => ("Destination Unreachable", &V6_UNREACHABLE),
        2 => ("Packet Too Big", &[]),
        3 => ("Time Exceeded", &V6_TIME_EXCEEDED),
        4 => ("Parameter Problem", &V6_PARAMETER_PROBLEM),
        128 => ("Echo Request", &[]),
        129 => ("Echo Reply", &[]),
        130 => ("Multicast Listener Query", &[]),
        131 => ("Multicast Listener Report", &[]),
        132 => ("Multicast Listener Done", &[]),
        133 => ("Router Solicitation", &[]),
        134 => ("Router Advertisement", &[]),
        135 => ("Neighbor Solicitation", &[]),
        136 => ("Neighbor Advertisement", &[]),
        137 => ("Redirect", &[]),
        138 => ("Router Renumbering", &[]),
        139 => ("Node Information Query", &[]),
        140 => ("Node Information Response", &[]),
        141 => ("Inverse Neighbor Discovery Solicitation", &[]),
        142 => ("Inverse Neighbor Discovery Advertisement", &[]),
        143 => ("Multicast Listener Report v2", &[]),
        144 => ("Home Agent Address Discovery Request", &[]),
        145 => ("Home Agent Address Discovery Reply", &[]),
        146 => ("Mobile Prefix Solicitation", &[]),
        147 => ("Mobile Prefix Advertisement", &[]),
        148 => ("Certification Path Solicitation", &[]),
        149 => ("Certification Path Advertisement", &[]),
        151 => ("Multicast Router Advertisement", &[]),
        152 => ("Multicast Router Solicitation", &[]),
        153 => ("Multicast Router Termination", &[]),
        155 => ("RPL Control", &[]),
        160 => ("Extended Echo Request", &[]),
        161 => ("Extended Echo Reply", &EXTENDED_ECHO_REPLY),
        _ => return (None, None),
    };
    (Some(name), codes.get(usize::from(code)).copied())
}

// Each table is indexed by the code.

const V4_UNREACHABLE: [&str; 16] = [
    "Network Unreachable",
    "Host Unreachable",
    "Protocol Unreachable",
    "Port Unreachable",
    "Fragmentation Needed",
    "Source Route Failed",
    "Destination Network Unknown",
    "Destination Host Unknown",
    "Source Host Isolated",
    "Network Administratively Prohibited",
    "Host Administratively Prohibited",
    "Network Unreachable for Type of Service",
    "Host Unreachable for Type of Service",
    "Communication Administratively Prohibited",
    "Host Precedence Violation",
    "Precedence Cutoff in Effect",
];

const V4_REDIRECT: [&str; 4] = [
    "for Network",
    "for Host",
    "for Type of Service and Network",
    "for Type of Service and Host",
];

const V4_TIME_EXCEEDED: [&str; 2] = ["TTL Exceeded in Transit", "Fragment Reassembly Timeout"];

const V4_PARAMETER_PROBLEM: [&str; 3] = [
    "Pointer Indicates the Error",
    "Missing a Required Option",
    "Bad Length",
];

const V6_UNREACHABLE: [&str; 9] = [
    "No Route to Destination",
    "Administratively Prohibited",
    "Beyond Scope of Source Address",
    "Address Unreachable",
    "Port Unreachable",
    "Source Address Failed Policy",
    "Reject Route to Destination",
    "Error in Source Routing Header",
    "Headers Too Long",
];

const V6_TIME_EXCEEDED: [&str; 2] = [
    "Hop Limit Exceeded in Transit",
    "Fragment Reassembly Timeout",
];

const V6_PARAMETER_PROBLEM: [&str; 4] = [
    "Erroneous Header Field",
    "Unrecognized Next Header",
    "Unrecognized IPv6 Option",
    "First Fragment Has Incomplete Header Chain",
];

const EXTENDED_ECHO_REPLY: [&str; 5] = [
    "No Error",
    "Malformed Query",
    "No Such Interface",
    "No Such Table Entry",
    "Multiple Interfaces Satisfy Query",
];
