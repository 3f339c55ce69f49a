//! The forwarder between clients and servers that fail in every way, in virtual time.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query as Asked, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A forwarder to `count` servers, and what is under way.
struct Bench {
    forwarder: Forwarder<u8>,
    start: Instant,
    now: Instant,
    servers: Vec<SocketAddr>,
}

impl Bench {
    #[expect(
        clippy::disallowed_methods,
        reason = "where virtual time begins does not matter"
    )]
    fn new(count: u8) -> Self {
        let servers: Vec<SocketAddr> = (1..=count).map(|n| ([192, 0, 2, n], 53).into()).collect();
        let start = Instant::now();
        Self {
            forwarder: Forwarder::new(servers.clone(), [7; 32]),
            start,
            now: start,
            servers,
        }
    }

    fn ask(
        &mut self,
        client: u8,
        id: u16,
        name: &str,
        transport: Transport,
    ) -> Result<(), Box<Message>> {
        let message = asked(id, name);
        let question = Question::parse(&message, transport).unwrap();
        self.forwarder
            .handle_question(self.now, client, question, &message)
            .map_err(|reply| Box::new(Message::from_vec(&reply).unwrap()))
    }

    fn sent(&mut self) -> Vec<Transmit> {
        std::iter::from_fn(|| self.forwarder.poll_transmit()).collect()
    }

    fn one(&mut self) -> Transmit {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    fn answers(&mut self) -> Vec<Answer<u8>> {
        std::iter::from_fn(|| self.forwarder.poll_answer()).collect()
    }

    /// The only client's answer.
    fn answer(&mut self) -> Message {
        let answers = self.answers();
        let [Answer { replies, .. }] = &answers[..] else {
            panic!("{answers:?}");
        };
        let [(_, bytes)] = &replies[..] else {
            panic!("{replies:?}");
        };
        Message::from_vec(bytes).unwrap()
    }

    fn reply(&mut self, to: &Transmit, change: impl FnOnce(&mut Message)) {
        self.reply_from(to.upstream, to, change);
    }

    fn reply_from(&mut self, server: SocketAddr, to: &Transmit, change: impl FnOnce(&mut Message)) {
        let mut message = Message::from_vec(&to.message).unwrap().into_response();
        let name = message.queries[0].name.clone();
        let data = RData::A(A::new(198, 51, 100, 1));
        message.add_answer(Record::from_rdata(name, 300, data));
        change(&mut message);
        let bytes = message.to_vec().unwrap();
        self.forwarder
            .handle_answer(self.now, to.query, server, bytes);
    }

    /// Lets time pass until the forwarder wants something, and returns how long after the start that was.
    fn wait(&mut self) -> Duration {
        let due = self.forwarder.poll_timeout();
        // Time only goes forward, past what is due already too.
        self.now = self.now.max(due.expect("something to wait for"));
        self.forwarder.handle_timeout(self.now);
        self.now - self.start
    }
}

fn asked(id: u16, name: &str) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    let name = Name::from_ascii(name).unwrap();
    message.add_query(Asked::query(name, RecordType::A));
    message.to_vec().unwrap()
}

#[test]
fn an_answer_comes_back_under_the_clients_id() {
    let mut bench = Bench::new(2);
    bench.ask(1, 4711, "Example.COM.", Transport::Udp).unwrap();
    let sent = bench.one();
    assert_eq!(sent.upstream, bench.servers[0]);
    assert_ne!(sent.message[..2], 4711u16.to_be_bytes());
    assert_eq!(sent.message[2..], asked(4711, "Example.COM.")[2..]);
    bench.reply(&sent, |_| {});
    let answer = bench.answer();
    assert_eq!((answer.id, answer.answers.len()), (4711, 1));
    assert_eq!(bench.forwarder.poll_timeout(), None);
    assert!(bench.forwarder.is_empty());
}

#[test]
fn what_does_not_answer_the_question_is_not_believed() {
    let mut bench = Bench::new(2);
    bench.ask(1, 1, "example.com.", Transport::Udp).unwrap();
    let sent = bench.one();
    let other = bench.servers[1];
    bench.reply(&sent, |m| m.metadata.id ^= 1);
    bench.reply(&sent, |m| m.metadata.message_type = MessageType::Query);
    bench.reply(&sent, |m| m.metadata.op_code = OpCode::Status);
    bench.reply(&sent, |m| {
        m.queries[0].name = Name::from_ascii("evil.com.").unwrap()
    });
    bench.reply(&sent, |m| m.queries[0].query_type = RecordType::AAAA);
    bench.reply(&sent, |m| m.queries.push(m.queries[0].clone()));
    bench.reply(&sent, |m| m.queries.clear());
    bench.reply_from(other, &sent, |_| {});
    let number = sent.query;
    bench
        .forwarder
        .handle_answer(bench.now, number, sent.upstream, vec![0; 5]);
    bench
        .forwarder
        .handle_answer(bench.now, number, sent.upstream, Vec::new());
    assert_eq!((bench.answers(), bench.sent()), (vec![], vec![]));
    // Capitals are no difference.
    bench.reply(&sent, |m| {
        m.queries[0].name = Name::from_ascii("EXAMPLE.com.").unwrap()
    });
    assert_eq!(bench.answer().response_code, ResponseCode::NoError);
}

#[test]
fn a_silent_server_makes_room_for_the_next_and_keeps_its_chance() {
    let mut bench = Bench::new(2);
    bench.ask(1, 1, "example.com.", Transport::Udp).unwrap();
    let first = bench.one();
    assert_eq!(bench.wait(), SECOND);
    let second = bench.one();
    assert_eq!(second.upstream, bench.servers[1]);
    assert_ne!(first.message[..2], second.message[..2]);
    // Late, and still the first to answer.
    bench.reply(&first, |m| {
        m.metadata.response_code = ResponseCode::NXDomain
    });
    assert_eq!(bench.answer().response_code, ResponseCode::NXDomain);
    bench.reply(&second, |_| {});
    assert_eq!(bench.answers(), []);
}

#[test]
fn after_a_silent_server_the_one_that_answered_is_asked_first() {
    let mut bench = Bench::new(3);
    bench.ask(1, 1, "a.", Transport::Udp).unwrap();
    bench.one();
    bench.wait();
    let second = bench.one();
    bench.reply(&second, |_| {});
    bench.answer();
    bench.ask(1, 2, "b.", Transport::Udp).unwrap();
    assert_eq!(bench.one().upstream, bench.servers[1]);
    bench.forwarder.set_upstreams(bench.servers.clone());
    bench.ask(1, 3, "c.", Transport::Udp).unwrap();
    assert_eq!(
        bench.one().upstream,
        bench.servers[1],
        "the same servers as before"
    );
    bench.forwarder.set_upstreams(bench.servers[..2].to_vec());
    bench.ask(1, 4, "d.", Transport::Udp).unwrap();
    assert_eq!(bench.one().upstream, bench.servers[0]);
}

#[test]
fn nobody_answers_so_the_client_hears_it_before_it_gives_up() {
    for (count, transport, tries) in [
        (1, Transport::Udp, 5),
        (3, Transport::Udp, 5),
        (1, Transport::Tcp, 1),
        (3, Transport::Tcp, 3),
    ] {
        let mut bench = Bench::new(count);
        bench.ask(1, 1, "example.com.", transport).unwrap();
        let mut sent = bench.sent();
        let mut end = Duration::ZERO;
        while !bench.forwarder.is_empty() {
            end = bench.wait();
            sent.extend(bench.sent());
        }
        assert_eq!(end, QUERY_TIME);
        assert_eq!(bench.answer().response_code, ResponseCode::ServFail);
        assert_eq!(sent.len(), tries, "{count} servers over {transport:?}");
        assert!(sent.iter().all(|sent| sent.transport == transport));
    }
}

#[test]
fn a_server_that_cannot_is_left_at_once() {
    let mut bench = Bench::new(3);
    bench.ask(1, 9, "example.com.", Transport::Udp).unwrap();
    let first = bench.one();
    bench.reply(&first, |m| {
        m.metadata.response_code = ResponseCode::ServFail
    });
    let second = bench.one();
    bench
        .forwarder
        .handle_failure(bench.now, second.query, second.upstream);
    bench
        .forwarder
        .handle_failure(bench.now, second.query, second.upstream);
    let third = bench.one();
    assert_eq!(
        [first.upstream, second.upstream, third.upstream],
        bench.servers[..]
    );
    bench.reply(&third, |m| {
        m.metadata.response_code = ResponseCode::Refused;
        m.queries.clear();
        m.answers.clear();
    });
    let answer = bench.answer();
    assert_eq!(
        (answer.id, answer.response_code),
        (9, ResponseCode::ServFail)
    );
    assert_eq!(answer.answers.len(), 1, "the first server's own words");
    assert_eq!(bench.sent(), []);
}

#[test]
fn one_question_of_many_clients_is_asked_once() {
    let mut bench = Bench::new(1);
    for client in 0..3 {
        bench
            .ask(
                client,
                100 + u16::from(client),
                "example.com.",
                Transport::Udp,
            )
            .unwrap();
        bench
            .ask(
                client,
                100 + u16::from(client),
                "example.com.",
                Transport::Udp,
            )
            .unwrap();
    }
    let sent = bench.one();
    bench.reply(&sent, |_| {});
    let answers = bench.answers();
    let replies: Vec<_> = answers[0]
        .replies
        .iter()
        .map(|(client, reply)| (*client, Message::from_vec(reply).unwrap().id))
        .collect();
    assert_eq!(replies, [(0, 100), (1, 101), (2, 102)]);
    // What came by TCP wants more than a datagram holds.
    bench.ask(1, 1, "example.com.", Transport::Udp).unwrap();
    bench.ask(1, 1, "example.com.", Transport::Tcp).unwrap();
    let transports: Vec<_> = bench.sent().iter().map(|sent| sent.transport).collect();
    assert_eq!(transports, [Transport::Udp, Transport::Tcp]);
}

#[test]
fn a_question_that_comes_back_to_us_ends() {
    let mut bench = Bench::new(1);
    bench.ask(0, 1, "example.com.", Transport::Udp).unwrap();
    let mut sent = 0;
    while !bench.forwarder.is_empty() {
        for transmit in bench.sent() {
            sent += 1;
            let question = Question::parse(&transmit.message, Transport::Udp).unwrap();
            let outcome =
                bench
                    .forwarder
                    .handle_question(bench.now, 1, question, &transmit.message);
            assert_eq!(outcome, Ok(()));
        }
        bench.wait();
    }
    assert_eq!(sent, UDP_TRIES);
}

#[test]
fn a_table_that_is_full_and_servers_that_are_none_are_told_of() {
    let mut bench = Bench::new(1);
    for n in 0..QUERIES_MAX {
        bench.ask(0, 1, &format!("n{n}."), Transport::Udp).unwrap();
    }
    let full = bench.ask(0, 1, "one.more.", Transport::Udp).unwrap_err();
    assert_eq!(full.response_code, ResponseCode::ServFail);
    bench.ask(0, 2, "n0.", Transport::Udp).unwrap();
    let sent = bench.sent();
    bench.reply(&sent[0], |_| {});
    bench.ask(0, 1, "one.more.", Transport::Udp).unwrap();
    bench.forwarder.set_upstreams(Vec::new());
    let nobody = bench.ask(0, 1, "x.", Transport::Udp).unwrap_err();
    assert_eq!(nobody.response_code, ResponseCode::Refused);
    // Those under way come to their end.
    while !bench.forwarder.is_empty() {
        bench.wait();
    }
    assert!(bench.forwarder.same.is_empty() && bench.forwarder.deadlines.is_empty());
}

#[test]
fn an_answer_longer_than_the_client_takes_is_cut_to_its_question() {
    for (payload, is_cut) in [(None, true), (Some(512), true), (Some(4096), false)] {
        let mut bench = Bench::new(1);
        let mut message = Message::from_vec(&asked(1, "long.example.com.")).unwrap();
        if let Some(payload) = payload {
            message.edns.insert(Edns::new()).set_max_payload(payload);
        }
        let message = message.to_vec().unwrap();
        let question = Question::parse(&message, Transport::Udp).unwrap();
        bench
            .forwarder
            .handle_question(bench.now, 0, question, &message)
            .unwrap();
        let sent = bench.one();
        bench.reply(&sent, |m| m.answers = vec![m.answers[0].clone(); 100]);
        let answer = bench.answer();
        assert_eq!(answer.truncation, is_cut, "{payload:?}");
        assert_eq!(answer.answers.len(), if is_cut { 0 } else { 100 });
        assert_eq!(answer.queries[0].name.to_ascii(), "long.example.com.");
    }
}

#[test]
fn one_seed_gives_one_course_of_ids() {
    let ids = |seed: u8| {
        let mut bench = Bench::new(1);
        bench.forwarder = Forwarder::new(bench.servers.clone(), [seed; 32]);
        for n in 0..4 {
            bench.ask(0, 1, &format!("n{n}."), Transport::Udp).unwrap();
        }
        let sent = bench.sent();
        sent.iter()
            .map(|sent| [sent.message[0], sent.message[1]])
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(1), ids(1));
    assert_ne!(ids(1), ids(2));
}

proptest! {
    /// Whatever servers do, each client gets exactly one answer to each question, in time.
    #[test]
    fn every_question_has_one_end(steps in prop::collection::vec((0u8..6, any::<u8>()), 0..100)) {
        let mut bench = Bench::new(3);
        let mut under_way: Vec<Transmit> = Vec::new();
        let (mut asked, mut answered) = (0, 0);
        for (step, choice) in steps {
            let chosen = (!under_way.is_empty())
                .then(|| under_way[usize::from(choice) % under_way.len()].clone());
            match (step, chosen) {
                (0, _) => {
                    let name = format!("n{}.", choice % 4);
                    asked += usize::from(bench.ask(0, asked as u16, &name, Transport::Udp).is_ok());
                }
                (1, Some(sent)) => bench.reply(&sent, |_| {}),
                (2, Some(sent)) => {
                    bench.reply(&sent, |m| m.metadata.response_code = ResponseCode::ServFail);
                }
                (3, Some(sent)) => {
                    bench.forwarder.handle_failure(bench.now, sent.query, sent.upstream);
                }
                (4, _) if !bench.forwarder.is_empty() => {
                    bench.wait();
                }
                _ => bench.now += Duration::from_millis(u64::from(choice)),
            }
            under_way.extend(bench.sent());
            answered += bench.answers().iter().map(|end| end.replies.len()).sum::<usize>();
        }
        let end = bench.now + QUERY_TIME;
        while !bench.forwarder.is_empty() {
            bench.wait();
            answered += bench.answers().iter().map(|end| end.replies.len()).sum::<usize>();
        }
        prop_assert!(bench.now <= end);
        prop_assert_eq!(asked, answered);
    }
}
