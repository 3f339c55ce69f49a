//! Two sides of the handshake, and what an attacker between them can do.

use proptest::prelude::*;

use super::*;

struct Side {
    handshake: Handshake,
    /// Sessions to receive with, in order.
    sessions: Vec<Arc<SealedSession>>,
    /// The session to send with.
    used: Option<Arc<SealedSession>>,
    sent: Vec<[u8; HELLO_LEN]>,
}

impl Side {
    fn start(now: Instant, key: u8, seed: u8) -> Self {
        let handshake = Handshake::new(now, PresharedKey::new([key; 32]), [seed; 32]);
        let mut side = Self {
            handshake,
            sessions: Vec::new(),
            used: None,
            sent: Vec::new(),
        };
        side.drain();
        side
    }

    fn drain(&mut self) {
        while let Some(output) = self.handshake.poll_output() {
            match output {
                Output::Send(hello) => self.sent.push(hello),
                Output::Receive(session) => self.sessions.push(session),
                Output::Use(session) => self.used = Some(session),
            }
        }
    }

    fn hear(&mut self, now: Instant, hello: &[u8]) -> Result<(), DropReason> {
        let result = self.handshake.handle_hello(now, hello);
        self.drain();
        result
    }
}

/// Carries hellos both ways until neither side has more to say; returns all of them.
fn talk(now: Instant, a: &mut Side, b: &mut Side) -> Vec<[u8; HELLO_LEN]> {
    let mut wire = Vec::new();
    let mut now = now;
    while !(a.sent.is_empty() && b.sent.is_empty()) {
        now += ANSWER_INTERVAL;
        for hello in core::mem::take(&mut a.sent) {
            wire.push(hello);
            let _ = b.hear(now, &hello);
        }
        for hello in core::mem::take(&mut b.sent) {
            wire.push(hello);
            let _ = a.hear(now, &hello);
        }
    }
    wire
}

/// Both send with the session that the other receives with.
fn agree(a: &Side, b: &Side) -> bool {
    let (Some(a_used), Some(b_used)) = (&a.used, &b.used) else {
        return false;
    };
    let (a, b) = (a.sessions.last().unwrap(), b.sessions.last().unwrap());
    assert!(Arc::ptr_eq(a, a_used) && Arc::ptr_eq(b, b_used));
    a.send_key().expose() == b.receive_key().expose()
        && b.send_key().expose() == a.receive_key().expose()
        && a.send_key().expose() != a.receive_key().expose()
        && (a.local_index, a.remote_index) == (b.remote_index, b.local_index)
}

#[test]
fn two_starts_end_with_one_session_each_and_the_same_keys() {
    let now = Instant::now();
    let (mut a, mut b) = (Side::start(now, 7, 1), Side::start(now, 7, 2));
    talk(now, &mut a, &mut b);
    assert_eq!((a.sessions.len(), b.sessions.len()), (1, 1));
    assert!(agree(&a, &b));
    assert_eq!(a.handshake.poll_timeout(), None);
}

#[test]
fn a_restart_gives_new_keys_on_both_sides() {
    let now = Instant::now();
    let (mut a, mut b) = (Side::start(now, 7, 1), Side::start(now, 7, 2));
    talk(now, &mut a, &mut b);
    let mut b = Side::start(now, 7, 3);
    talk(now + FIRST_RETRY, &mut a, &mut b);
    assert!(agree(&a, &b));
    assert_ne!(
        a.sessions[0].send_key().expose(),
        a.sessions[1].send_key().expose()
    );
}

/// The attack that would bring a used key back with its counter at zero.
#[test]
fn no_replayed_hello_ever_makes_a_session_again() {
    let now = Instant::now();
    let (mut a, mut b) = (Side::start(now, 7, 1), Side::start(now, 7, 2));
    let mut recorded = talk(now, &mut a, &mut b);
    let mut b = Side::start(now, 7, 3);
    recorded.extend(talk(now + FIRST_RETRY, &mut a, &mut b));
    let (at_a, at_b) = (a.sessions.len(), b.sessions.len());
    for hello in &recorded {
        let _ = a.hear(now + LAST_RETRY, hello);
        let _ = b.hear(now + LAST_RETRY, hello);
    }
    assert_eq!((a.sessions.len(), b.sessions.len()), (at_a, at_b));
}

#[test]
fn hundreds_of_restarts_never_repeat_a_key() {
    let mut now = Instant::now();
    let mut a = Side::start(now, 7, 0);
    for restart in 1..=200u8 {
        now += LAST_RETRY;
        let mut b = Side::start(now, 7, restart);
        a.handshake.handle_timeout(now);
        a.drain();
        talk(now, &mut a, &mut b);
        assert!(agree(&a, &b), "restart {restart}");
    }
    let keys: std::collections::BTreeSet<_> = a
        .sessions
        .iter()
        .map(|session| *session.send_key().expose())
        .collect();
    assert_eq!(keys.len(), a.sessions.len());
    assert!(a.handshake.retired.len() <= MAX_RETIRED);
}

#[test]
fn foreign_changed_and_reflected_hellos_are_refused() {
    let now = Instant::now();
    let mut a = Side::start(now, 7, 1);
    let own = a.sent[0];
    assert_eq!(a.hear(now, &own), Err(DropReason::BadHandshake));
    let foreign = Side::start(now, 8, 2).sent[0];
    assert_eq!(a.hear(now, &foreign), Err(DropReason::BadHandshake));
    let genuine = Side::start(now, 7, 2).sent[0];
    for at in 0..HELLO_LEN {
        let mut changed = genuine;
        changed[at] ^= 1;
        assert_eq!(
            a.hear(now, &changed),
            Err(DropReason::BadHandshake),
            "byte {at}"
        );
    }
    assert_eq!(
        a.hear(now, &genuine[..HELLO_LEN - 1]),
        Err(DropReason::BadHandshake)
    );
    assert!(a.sessions.is_empty());
}

#[test]
fn a_flood_of_hellos_is_answered_slowly() {
    let now = Instant::now();
    let mut a = Side::start(now, 7, 1);
    a.sent.clear();
    let hello = Side::start(now, 7, 2).sent[0];
    for _ in 0..1000 {
        a.hear(now, &hello).unwrap();
    }
    assert_eq!(a.sent.len(), 1);
    // The last of them is not forgotten.
    let later = now + ANSWER_INTERVAL;
    assert_eq!(a.handshake.poll_timeout(), Some(later));
    a.handshake.handle_timeout(later);
    a.drain();
    assert_eq!(a.sent.len(), 2);
}

#[test]
fn hellos_are_repeated_until_answered_ever_more_slowly() {
    let start = Instant::now();
    let mut a = Side::start(start, 7, 1);
    let mut gaps = Vec::new();
    let mut now = start;
    for _ in 0..6 {
        let at = a.handshake.poll_timeout().unwrap();
        gaps.push(at - now);
        now = at;
        a.handshake.handle_timeout(now);
        a.drain();
    }
    assert_eq!(a.sent.len(), 7);
    assert_eq!((gaps[0], gaps[5]), (FIRST_RETRY, LAST_RETRY));
}

/// What the network and time do to two sides.
#[derive(Debug, Clone)]
enum Step {
    /// The oldest hello under way arrives, at `a` if the flag is set.
    Deliver(bool),
    /// It is lost.
    Lose(bool),
    /// It arrives, and will arrive again.
    Repeat(bool),
    /// Time passes.
    Wait(u64),
    /// `b` starts again.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => any::<bool>().prop_map(Step::Deliver),
        2 => any::<bool>().prop_map(Step::Lose),
        1 => any::<bool>().prop_map(Step::Repeat),
        2 => (1u64..3000).prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 0..200)
}

fn check_used(sender: &Side, receiver: &Side) {
    let Some(used) = &sender.used else { return };
    let is_for_this_start = used.remote_index == receiver.handshake.index;
    let opens =
        |session: &Arc<SealedSession>| session.receive_key().expose() == used.send_key().expose();
    assert!(!is_for_this_start || receiver.sessions.iter().any(opens));
}

proptest! {
    /// Whoever sends with a session finds the peer able to open it; and however many hellos are
    /// lost, both sides agree in the end, also after a restart.
    #[test]
    fn lost_hellos_delay_but_do_not_prevent(steps in steps()) {
        let mut now = Instant::now();
        let mut starts = 1..=u8::MAX;
        let mut start = || starts.next().unwrap();
        let (mut a, mut b) = (Side::start(now, 7, start()), Side::start(now, 7, start()));
        for step in steps {
            match step {
                Step::Deliver(to_a) | Step::Lose(to_a) | Step::Repeat(to_a) => {
                    let (from, to) = if to_a { (&mut b, &mut a) } else { (&mut a, &mut b) };
                    if from.sent.is_empty() {
                        continue;
                    }
                    let hello = from.sent.remove(0);
                    if !matches!(step, Step::Lose(_)) {
                        let _ = to.hear(now, &hello);
                    }
                    if matches!(step, Step::Repeat(_)) {
                        from.sent.push(hello);
                    }
                }
                Step::Wait(milliseconds) => now += Duration::from_millis(milliseconds),
                Step::Restart => b = Side::start(now, 7, start()),
            }
            for side in [&mut a, &mut b] {
                side.handshake.handle_timeout(now);
                side.drain();
            }
            check_used(&a, &b);
            check_used(&b, &a);
        }
        for _ in 0..3 {
            now += LAST_RETRY;
            for side in [&mut a, &mut b] {
                side.handshake.handle_timeout(now);
                side.drain();
            }
            talk(now, &mut a, &mut b);
        }
        prop_assert!(agree(&a, &b));
        prop_assert_eq!(a.handshake.poll_timeout().or(b.handshake.poll_timeout()), None);
    }
}
