//! Names: questions from anybody, answers from name servers, files of the system.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use meshvpn_proto::dns::resolv_conf::{Author, Before};
use meshvpn_proto::dns::{Forwarder, Question, ResolvConf, Transmit, Transport, Verdict, Zone};

/// Most of a datagram that a zone makes by itself.
const UDP_MAX: usize = 1232;
/// A query has ended by then.
const END: Duration = Duration::from_secs(5);

/// Any message has a verdict; a reply is one to that message, fits, and is not answered in turn.
///
/// The input: a byte for the transport, then the message.
pub fn question(data: &[u8]) {
    let Some((kind, message)) = data.split_first() else {
        return;
    };
    let transport = transport(*kind);
    let zone = zone();
    let (Verdict::Answer(reply) | Verdict::Refuse(Some(reply))) = zone.judge(message, transport)
    else {
        return;
    };
    assert_eq!(reply[..2], message[..2]);
    assert!(reply.len() >= 12 && reply[2] & 0x80 != 0);
    assert!(transport == Transport::Tcp || reply.len() <= UDP_MAX);
    assert_eq!(zone.judge(&reply, transport), Verdict::Refuse(None));
}

/// Whatever clients ask and servers say, each question that was taken has one answer, in time.
///
/// The input: steps of a kind and a length, each followed by that many bytes; where time passes, by none.
pub fn forward(data: &[u8]) {
    #[expect(
        clippy::disallowed_methods,
        reason = "where time begins does not matter"
    )]
    let mut now = Instant::now();
    let upstreams: Vec<SocketAddr> = (1..4).map(|n| ([192, 0, 2, n], 53).into()).collect();
    let mut forwarder = Forwarder::new(upstreams, [7; 32]);
    let mut under_way: Vec<Transmit> = Vec::new();
    let (mut taken, mut answered) = (0usize, 0);
    let mut rest = data;
    while let [kind, len, tail @ ..] = rest {
        let is_time = kind & 7 > 5;
        let follow = if is_time { 0 } else { usize::from(*len) };
        let (bytes, tail) = tail.split_at(follow.min(tail.len()));
        rest = tail;
        let chosen = (!under_way.is_empty())
            .then(|| under_way[usize::from(*kind >> 4) % under_way.len()].clone());
        match (kind & 7, chosen) {
            (0 | 1, _) => {
                if let Ok(question) = Question::parse(bytes, transport(*kind)) {
                    let outcome = forwarder.handle_question(now, taken, question, bytes);
                    taken += usize::from(outcome.is_ok());
                }
            }
            // Any bytes; the question given back as an answer, changed by the bytes; nothing at all.
            (2, Some(sent)) => {
                forwarder.handle_answer(now, sent.query, sent.upstream, bytes.to_vec());
            }
            (3 | 4, Some(sent)) => {
                let mut message = sent.message;
                message[2] |= 0x80;
                for (place, byte) in message.iter_mut().skip(3).zip(bytes) {
                    *place ^= byte;
                }
                forwarder.handle_answer(now, sent.query, sent.upstream, message);
            }
            (5, Some(sent)) => forwarder.handle_failure(now, sent.query, sent.upstream),
            _ if !is_time => {}
            _ => {
                now += Duration::from_millis(u64::from(*len) * 8);
                forwarder.handle_timeout(now);
            }
        }
        under_way.extend(std::iter::from_fn(|| forwarder.poll_transmit()));
        answered += count(&mut forwarder);
    }
    forwarder.handle_timeout(now + END);
    answered += count(&mut forwarder);
    assert_eq!(taken, answered);
    assert!(forwarder.is_empty() && forwarder.poll_timeout().is_none());
}

/// Any file can be taken over, and ours is known again.
///
/// The input is the file.
pub fn resolv_conf(data: &[u8]) {
    let file = ResolvConf::parse(data);
    let own: IpAddr = [127, 0, 0, 1].into();
    for before in [Before::File, Before::Symlink, Before::Nothing] {
        let taken = file.taken_over(
            before,
            "resolv.conf.before-meshvpn",
            &[own],
            "mesh.internal",
        );
        assert_eq!(Author::of(taken.as_bytes()), Author::Us(before));
        let again = ResolvConf::parse(taken.as_bytes());
        assert!(again.nameservers.iter().map(|at| at.address).eq([own]));
        assert_eq!(again.options, file.options);
    }
    // Whose file this is, it has to say by itself.
    let _ = Author::of(data);
}

fn zone() -> Zone {
    let many: Vec<IpAddr> = (0..=255).map(|n| [100, 64, 1, n].into()).collect();
    let laptop = [
        [100, 64, 0, 1].into(),
        "fd7a::1".parse().expect("an address"),
    ];
    let names = [("laptop", &laptop[..]), ("many", &many), ("new", &[])];
    Zone::of_names("mesh.internal", 7, names)
}

fn transport(kind: u8) -> Transport {
    if kind & 1 == 0 {
        Transport::Udp
    } else {
        Transport::Tcp
    }
}

fn count(forwarder: &mut Forwarder<usize>) -> usize {
    std::iter::from_fn(|| forwarder.poll_answer())
        .map(|answer| answer.replies.len())
        .sum()
}
