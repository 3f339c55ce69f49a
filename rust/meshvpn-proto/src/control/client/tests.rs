//! A client against a coordinator of a few lines.

use std::collections::BTreeMap;

use super::*;
use crate::control::channel;
use crate::control::delta::Delta;
use crate::control::map::Node;
use crate::control::messages::{CoordinatorMessage, HostInfo, Reason, Refusal, Registered};
use crate::control::signature::{Kind, Signer};
use crate::control::view::View;

const OWN: NodeId = NodeId(1);

#[expect(clippy::disallowed_methods, reason = "time has to begin somewhere")]
fn begin() -> Instant {
    Instant::now()
}

struct Fake {
    channel: Channel,
    signer: Signer,
}

impl Fake {
    fn say(&mut self, client: &mut Client, now: Instant, message: &CoordinatorMessage) {
        for frame in self.channel.seal(&message.to_json()) {
            client.handle_message(now, &frame);
        }
    }

    fn hear(&mut self, client: &mut Client) -> Vec<NodeMessage> {
        let frames = core::iter::from_fn(|| client.poll_transmit());
        let messages = frames.filter_map(|frame| self.channel.open(&frame).unwrap());
        messages
            .map(|message| NodeMessage::parse(&message).unwrap())
            .collect()
    }

    fn map(&self, view: &View) -> CoordinatorMessage {
        let text = serde_json::to_string(view).unwrap();
        CoordinatorMessage::Map(self.signer.sign(Kind::View, &text))
    }

    fn delta(&self, old: &View, new: &View) -> CoordinatorMessage {
        let text = serde_json::to_string(&Delta::between(old, new)).unwrap();
        CoordinatorMessage::Delta(self.signer.sign(Kind::Delta, &text))
    }

    fn registered(&self) -> CoordinatorMessage {
        CoordinatorMessage::Registered(Registered {
            node: OWN,
            name: "a".to_owned(),
            map_key: self.signer.map_key(),
        })
    }
}

fn identity(seed: u8) -> Arc<Identity> {
    Arc::new(Identity::open(PrivateKey::new([seed; 32])))
}

fn config() -> Config {
    let coordinator = *identity(2).public_key();
    Config {
        machine: identity(1),
        coordinator,
        register: Register {
            auth_key: None,
            name: "a".to_owned(),
            node_key: PublicKey::new([9; 32]),
            host: HostInfo::default(),
            routes: Vec::new(),
            candidates: Vec::new(),
            home_relay: None,
            resume: None,
        },
        map_key: None,
        cached: None,
    }
}

fn connect(client: &mut Client, now: Instant) -> Fake {
    client.handle_timeout(now);
    assert_eq!(client.poll_event(), Some(Event::Open));
    client.handle_connected(now);
    let first = client.poll_transmit().unwrap();
    let accepted = channel::accept(&identity(2), PrivateKey::new([4; 32]), &first).unwrap();
    client.handle_message(now, &accepted.answer);
    Fake {
        channel: accepted.channel,
        signer: Signer::new(&[5; 32]),
    }
}

fn view(version: u64, nodes: &[u64]) -> View {
    let node = |id: &u64| Node {
        id: NodeId(*id),
        name: format!("n{id}"),
        key: PublicKey::new([*id as u8; 32]),
        addresses: Vec::new(),
        routes: Vec::new(),
        candidates: Vec::new(),
        home_relay: None,
        is_online: true,
        key_expiry: None,
        tags: Vec::new(),
        is_static: false,
    };
    View {
        version,
        nodes: nodes
            .iter()
            .map(|id| (NodeId(*id), node(id)))
            .collect::<BTreeMap<_, _>>(),
        ..View::default()
    }
}

fn events(client: &mut Client) -> Vec<Event> {
    core::iter::from_fn(|| client.poll_event()).collect()
}

/// A client that is up, with nodes 1 and 2 at version 5.
fn up(now: Instant) -> (Client, Fake) {
    let mut client = Client::new(now, config(), [7; 32]);
    let mut fake = connect(&mut client, now);
    let heard = fake.hear(&mut client);
    assert!(matches!(&heard[..], [NodeMessage::Register(register)] if register.resume.is_none()));
    let registered = fake.registered();
    fake.say(&mut client, now, &registered);
    let map = fake.map(&view(5, &[1, 2]));
    fake.say(&mut client, now, &map);
    assert_eq!(
        events(&mut client).last(),
        Some(&Event::MapChanged(MapChange::Whole))
    );
    assert_eq!((client.status(), client.node()), (Status::Up, Some(OWN)));
    (client, fake)
}

#[test]
fn changes_are_followed_and_a_missing_one_is_made_up_for() {
    let now = begin();
    let (mut client, mut fake) = up(now);
    let delta = fake.delta(&view(5, &[1, 2]), &view(6, &[1, 3]));
    fake.say(&mut client, now, &delta);
    let changed = MapChange::Nodes(vec![NodeId(2), NodeId(3)]);
    assert_eq!(events(&mut client), [Event::MapChanged(changed)]);
    assert_eq!(client.map(), &view(6, &[1, 3]).into_map(OWN));
    for _ in 0..2 {
        let delta = fake.delta(&view(8, &[1]), &view(9, &[1, 4]));
        fake.say(&mut client, now, &delta);
    }
    assert!(matches!(&fake.hear(&mut client)[..], [NodeMessage::Map]));
    assert_eq!(client.map().version, 6);
}

#[test]
fn a_node_comes_back_with_its_map_and_asks_for_what_changed_since() {
    let now = begin();
    let (mut client, mut fake) = up(now);
    let delta = fake.delta(&view(5, &[1, 2]), &view(6, &[1, 2, 3]));
    fake.say(&mut client, now, &delta);
    let file = client.cache().unwrap().to_json();
    let key = *client.map_key().unwrap();
    let mut config = config();
    config.cached = Some(Cache::read(&file, &key).unwrap());
    config.map_key = Some(key);
    let mut client = Client::new(now, config, [8; 32]);
    assert_eq!(client.map(), &view(6, &[1, 2, 3]).into_map(OWN));
    let mut fake = connect(&mut client, now);
    let heard = fake.hear(&mut client);
    assert!(matches!(&heard[..], [NodeMessage::Register(register)] if register.resume == Some(6)));
}

#[test]
fn a_cache_that_was_tampered_with_is_refused() {
    let now = begin();
    let (mut client, mut fake) = up(now);
    let deltas = [
        fake.delta(&view(5, &[1, 2]), &view(6, &[1, 3])),
        fake.delta(&view(6, &[1, 3]), &view(7, &[1, 4])),
    ];
    for delta in &deltas {
        fake.say(&mut client, now, delta);
    }
    let file = client.cache().unwrap().to_json();
    let key = *client.map_key().unwrap();
    assert!(Cache::read(&file, &key).is_ok());
    assert!(Cache::read(&file, &Signer::new(&[6; 32]).map_key()).is_err());
    let changed = String::from_utf8(file.clone()).unwrap().replace("n4", "n5");
    assert!(Cache::read(changed.as_bytes(), &key).is_err());
    let mut value: serde_json::Value = serde_json::from_slice(&file).unwrap();
    value["deltas"].as_array_mut().unwrap().remove(0);
    let error = Cache::read(value.to_string().as_bytes(), &key).unwrap_err();
    assert_eq!(error, CacheError::Gap(6));
    assert!(Cache::read(&file[..file.len() / 2], &key).is_err());
}

#[test]
fn a_map_of_another_signer_ends_the_connection_and_changes_nothing() {
    let now = begin();
    let (mut client, mut fake) = up(now);
    fake.signer = Signer::new(&[6; 32]);
    let map = fake.map(&view(9, &[]));
    fake.say(&mut client, now, &map);
    let said = events(&mut client);
    assert!(matches!(&said[..], [Event::Close, Event::Away { .. }]));
    assert_eq!(client.map().version, 5);
}

#[test]
fn silence_is_noticed_and_waits_grow() {
    let mut now = begin();
    let (mut client, mut fake) = up(now);
    let (at, why) = client.poll_timeout();
    assert_eq!(why, Timer::Ping);
    client.handle_timeout(at);
    assert!(matches!(
        &fake.hear(&mut client)[..],
        [NodeMessage::Ping(_)]
    ));
    let (at, why) = client.poll_timeout();
    assert_eq!(why, Timer::GiveUp);
    client.handle_timeout(at);
    now = at;
    let mut longest = Duration::ZERO;
    for _ in 0..40 {
        let said = events(&mut client);
        let Some(Event::Away { retry_in, .. }) = said.last() else {
            panic!("{said:?}");
        };
        longest = longest.max(*retry_in);
        assert_eq!(client.poll_timeout(), (now + *retry_in, Timer::Connect));
        now += *retry_in;
        client.handle_timeout(now);
        client.handle_disconnected(now, "refused");
    }
    assert!((Duration::from_secs(20)..=Duration::from_secs(30)).contains(&longest));
    assert_eq!((client.status(), client.map().version), (Status::Away, 5));
}

#[test]
fn a_refusal_is_told_and_obeyed() {
    let now = begin();
    let mut client = Client::new(now, config(), [7; 32]);
    let mut fake = connect(&mut client, now);
    let refusal = Refusal::new(Reason::TooManyAttempts, "slow down").retry_after(60);
    fake.say(
        &mut client,
        now,
        &CoordinatorMessage::Refused(refusal.clone()),
    );
    let said = events(&mut client);
    assert_eq!(said[..2], [Event::Refused(refusal), Event::Close]);
    let (at, _) = client.poll_timeout();
    let wait = at - now;
    assert!((Duration::from_secs(60)..=Duration::from_secs(66)).contains(&wait));
    client.hurry(now);
    assert_eq!(client.poll_timeout(), (now, Timer::Connect));
}

#[test]
fn what_changes_while_away_is_told_on_the_way_back() {
    let now = begin();
    let (mut client, mut fake) = up(now);
    client.set_home_relay(Some(RelayId(3)));
    client.set_home_relay(Some(RelayId(3)));
    assert!(matches!(
        &fake.hear(&mut client)[..],
        [NodeMessage::Update(_)]
    ));
    client.handle_disconnected(now, "gone");
    client.rotate(PublicKey::new([8; 32]));
    client.set_routes(vec!["10.0.0.0/8".parse().unwrap()]);
    assert!(!client.signal(NodeId(2), Vec::new()));
    assert_eq!(client.poll_transmit(), None);
    events(&mut client);
    client.hurry(now);
    let mut fake = connect(&mut client, now);
    let heard = fake.hear(&mut client);
    let [NodeMessage::Register(register)] = &heard[..] else {
        panic!("{heard:?}");
    };
    assert_eq!(register.home_relay, Some(RelayId(3)));
    assert_eq!(register.node_key, PublicKey::new([8; 32]));
    assert_eq!((register.routes.len(), register.resume), (1, Some(5)));
}
