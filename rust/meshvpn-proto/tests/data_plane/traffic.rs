//! Mixed traffic of several flows between a few hosts, as a proptest strategy: mostly bulk data in
//! order, with everything between it that must not be joined.

use proptest::prelude::*;

use crate::craft::{ACK, CWR, ECE, FIN, Inner, PSH, SYN, payload, seal_ipv4_header};

/// Payload of a full segment.
const FULL: usize = 300;

#[derive(Debug, Clone, Copy)]
enum Step {
    Full,
    Short(usize),
    Long,
    Empty,
    Flags(u8),
    Retransmission,
    Gap,
    Tos(u8),
    Ttl,
    Window,
    Acknowledgement,
    Options,
    Urgent,
    Reserved,
    IdJump,
    MayFragment,
    NoChecksum,
    Fragment,
    IpOptions,
    Ping,
}

fn any_step() -> impl Strategy<Value = Step> {
    let odd = prop_oneof![
        (1..FULL).prop_map(Step::Short),
        Just(Step::Long),
        Just(Step::Empty),
        prop::sample::select(vec![
            ACK | PSH,
            ACK | FIN,
            SYN,
            ACK | 0x04,
            ACK | 0x20,
            ACK | ECE
        ])
        .prop_map(Step::Flags),
        Just(Step::Flags(ACK | CWR)),
        Just(Step::Retransmission),
        Just(Step::Gap),
        (1..255u8).prop_map(Step::Tos),
        Just(Step::Ttl),
        Just(Step::Window),
        Just(Step::Acknowledgement),
        Just(Step::Options),
        Just(Step::Urgent),
        Just(Step::Reserved),
        Just(Step::IdJump),
        Just(Step::MayFragment),
        Just(Step::NoChecksum),
        Just(Step::Fragment),
        Just(Step::IpOptions),
        Just(Step::Ping),
    ];
    prop_oneof![3 => Just(Step::Full), 1 => odd]
}

/// The flows: TCP and UDP over both versions, two of them between the same hosts.
fn flow(index: usize) -> Inner {
    let (is_v6, is_tcp) = (index & 1 != 0, index & 2 != 0);
    let mut flow = if is_tcp {
        Inner::tcp(is_v6, u32::MAX - 2000, Vec::new())
    } else {
        Inner::udp(is_v6, Vec::new())
    };
    flow.ports.0 += index as u16;
    flow.hosts.1 += (index / 8) as u8;
    flow.dont_fragment = index & 4 == 0;
    flow
}

/// Packets in the order in which they are sent, and for a failed case what makes them up.
#[derive(Clone)]
pub(crate) struct Traffic {
    steps: Vec<(usize, Step)>,
    pub(crate) packets: Vec<Vec<u8>>,
}

impl core::fmt::Debug for Traffic {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.steps.fmt(f)
    }
}

/// Up to a batch of packets; `flows` flows take turns at random.
pub(crate) fn any_traffic(flows: usize) -> impl Strategy<Value = Traffic> {
    prop::collection::vec((0..flows, any_step()), 1..120).prop_map(move |steps| {
        let mut flows: Vec<_> = (0..flows).map(flow).collect();
        let take = |(seed, (index, step)): (usize, &(usize, Step))| {
            take(&mut flows[*index], *step, seed as u64)
        };
        let packets = steps.iter().enumerate().map(take).collect();
        Traffic { steps, packets }
    })
}

/// The next packet of `flow`, and the flow moved on as its sender would.
fn take(flow: &mut Inner, step: Step, seed: u64) -> Vec<u8> {
    let len = match step {
        Step::Short(len) => len,
        Step::Long => FULL + 1,
        Step::Empty => 0,
        _ => FULL,
    };
    let mut packet = Inner {
        payload: payload(len, seed),
        ..flow.clone()
    };
    flow.id = flow.id.wrapping_add(1);
    if let Some(tcp) = &mut flow.tcp {
        match step {
            Step::Retransmission | Step::Flags(_) => {}
            Step::Gap => tcp.sequence = tcp.sequence.wrapping_add(5 * FULL as u32),
            _ => tcp.sequence = tcp.sequence.wrapping_add(len as u32),
        }
    }
    if let Some(tcp) = &mut packet.tcp {
        match step {
            Step::Flags(flags) => tcp.flags = flags,
            Step::Retransmission => tcp.sequence = tcp.sequence.wrapping_sub(FULL as u32),
            Step::Window => tcp.window += 1,
            Step::Acknowledgement => tcp.acknowledgement += 1,
            Step::Options => tcp.options = vec![1; 12],
            Step::Urgent => tcp.urgent = 1,
            Step::Reserved => tcp.reserved = 1,
            _ => {}
        }
    }
    match step {
        Step::Tos(tos) => packet.tos = tos,
        Step::Ttl => packet.ttl -= 1,
        Step::IdJump => packet.id = packet.id.wrapping_add(7),
        Step::MayFragment => packet.dont_fragment = !packet.dont_fragment,
        Step::IpOptions if packet.is_v6 => packet.ip_options = vec![0, 0, 1, 4, 0, 0, 0, 0],
        Step::IpOptions => packet.ip_options = vec![1; 4],
        _ => {}
    }
    let mut bytes = packet.bytes();
    match step {
        Step::NoChecksum if packet.tcp.is_none() => {
            let at = packet.transport_at() + packet.checksum_offset();
            bytes[at..at + 2].fill(0);
        }
        Step::Fragment if !packet.is_v6 => {
            bytes[6] = 0x20;
            bytes[7] = (seed % 2) as u8 * 100;
            seal_ipv4_header(&mut bytes);
        }
        Step::Fragment => bytes[6] = 44,
        Step::Ping => {
            bytes[if packet.is_v6 { 6 } else { 9 }] = if packet.is_v6 { 58 } else { 1 };
            if !packet.is_v6 {
                seal_ipv4_header(&mut bytes);
            }
        }
        _ => {}
    }
    bytes
}
