//! Two ends and a bad way between them.

use super::*;
use crate::chance::Chance;

/// Two ends, `loss` of whose packets are lost and all of which are delayed by up to 40 ms.
struct Pair {
    ends: [Endpoint; 2],
    on_the_way: BTreeMap<(Duration, u64), (usize, Vec<u8>)>,
    now: Duration,
    sent: u64,
    loss: f64,
    chance: Chance,
    received: [Vec<u8>; 2],
    closed: [Option<Closed>; 2],
}

impl Pair {
    fn new(loss: f64, seed: u64) -> Self {
        let mut ends = [Endpoint::open(Duration::ZERO), Endpoint::accept()];
        // It exists because the first packet came.
        ends[0].packets.clear();
        Self {
            ends,
            on_the_way: BTreeMap::new(),
            now: Duration::ZERO,
            sent: 0,
            loss,
            chance: Chance::new(seed),
            received: [Vec::new(), Vec::new()],
            closed: [None; 2],
        }
    }

    fn run(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        loop {
            for own in [0, 1] {
                while let Some(packet) = self.ends[own].poll_packet() {
                    self.sent += 1;
                    let delay = Duration::from_millis(1 + self.chance.below(40));
                    if !self.chance.hits(self.loss) {
                        let key = (self.now + delay, self.sent);
                        self.on_the_way.insert(key, (1 - own, packet));
                    }
                }
                while let Some(event) = self.ends[own].poll_event() {
                    match event {
                        Event::Connected => {}
                        Event::Data(data) => self.received[own].extend(data),
                        Event::Closed(why) => self.closed[own] = Some(why),
                    }
                }
            }
            let arrival = self.on_the_way.keys().next().map(|(at, _)| *at);
            let timeouts = self.ends.iter().filter_map(Endpoint::poll_timeout);
            match timeouts.chain(arrival).min() {
                Some(at) if at <= end => self.now = at.max(self.now),
                _ => break,
            }
            if arrival == Some(self.now)
                && let Some((_, (to, packet))) = self.on_the_way.pop_first()
            {
                self.ends[to].handle(self.now, &packet);
            }
            let now = self.now;
            self.ends.iter_mut().for_each(|end| end.handle_timeout(now));
        }
        self.now = end;
    }
}

#[test]
fn bytes_arrive_in_order_and_once_however_bad_the_way_is() {
    for seed in 0..20 {
        let mut pair = Pair::new(0.2, seed);
        let bytes: Vec<u8> = (0..200_000u32).map(|i| (i * 7) as u8).collect();
        for end in &mut pair.ends {
            end.send(Duration::ZERO, &bytes);
            end.close(Duration::ZERO);
        }
        pair.run(600);
        // Who closes first does not hear the rest.
        let longest = pair.received.iter().map(Vec::len).max();
        assert_eq!(longest, Some(bytes.len()), "seed {seed}");
        for received in &pair.received {
            assert_eq!(received[..], bytes[..received.len()]);
        }
        assert!(pair.ends.iter().all(Endpoint::is_over));
    }
}

#[test]
fn an_end_that_is_gone_is_noticed() {
    let mut pair = Pair::new(0.0, 1);
    pair.run(1);
    pair.loss = 1.0;
    let now = pair.now;
    pair.ends[0].send(now, b"are you there?");
    pair.run(20);
    assert_eq!(pair.closed[0], None);
    pair.run(20);
    assert_eq!(pair.closed, [Some(Closed::TimedOut), None]);
}

#[test]
fn an_opening_that_nobody_answers_is_given_up() {
    let mut pair = Pair::new(1.0, 1);
    pair.run(21);
    assert_eq!(pair.closed[0], None);
    pair.run(2);
    assert_eq!(pair.closed[0], Some(Closed::TimedOut));
}

#[test]
fn a_reset_is_answered_by_silence() {
    let reset = reset_for(&packet(Kind::Data, 1, 0, b"x"));
    let reset = reset.expect("an answer");
    assert_eq!(reset_for(&reset), None);
    let mut end = Endpoint::accept();
    end.handle(Duration::ZERO, &reset);
    assert!(matches!(
        end.poll_event(),
        Some(Event::Closed(Closed::Reset))
    ));
}
