//! Questions that others have to answer.
//!
//! [`Forwarder`] is driven like every machine here: after each `handle_*` call drain
//! [`poll_transmit`](Forwarder::poll_transmit) and [`poll_answer`](Forwarder::poll_answer), then sleep until
//! [`poll_timeout`](Forwarder::poll_timeout).
//!
//! A question goes to the upstreams one after the other, as it came, but under an ID of our own for each try
//! (what is believed of the answer is in `upstream`). By TCP if it came by TCP: the answer is too long for
//! anything else. Clients that ask the same at the same time share one query: it is cheaper, leaves an attacker
//! one ID to guess instead of many (RFC 5452, section 5), and ends loops: a question that comes back to us from
//! whom we have asked joins the query that it came from, and all end when that one's time is over.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use super::question::{Question, Transport, cut};
use super::upstream::{Reply, judge};
use crate::noise::entropy::Entropy;

/// Questions under way at once; who asks more is told to come again.
const QUERIES_MAX: usize = 256;
/// Clients that wait for one query.
const CLIENTS_MAX: usize = 16;
/// How long a server may take before the next one is asked too. Over TCP it also has to connect.
const UDP_TRY: Duration = Duration::from_secs(1);
const TCP_TRY: Duration = Duration::from_secs(2);
/// How long a query may take: clients give up after five seconds (resolv.conf(5), `timeout`).
const QUERY_TIME: Duration = Duration::from_millis(4500);
/// How often a question is sent at most: by UDP also to a server that has not answered, since datagrams get
/// lost.
const UDP_TRIES: usize = 5;
const TCP_TRIES: usize = 3;
/// Most servers that are tried; resolv.conf(5) knows three.
const UPSTREAMS_MAX: usize = 8;

/// A query's number. Never given out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryNumber(u64);

/// A question to be sent to a name server, from a socket of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Whose it is; to be given back with what arrives.
    pub query: QueryNumber,
    /// Where to.
    pub upstream: SocketAddr,
    /// How.
    pub transport: Transport,
    /// The message.
    pub message: Vec<u8>,
}

/// The end of a query: all its sockets can be closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<C> {
    /// Which one.
    pub query: QueryNumber,
    /// Whether a server has answered it; else it was refused, or nobody spoke.
    pub is_answered: bool,
    /// What to send to whom.
    pub replies: Vec<(C, Vec<u8>)>,
}

/// The machine. `C` is by what the owner knows a client.
#[derive(Debug)]
pub struct Forwarder<C> {
    upstreams: Vec<SocketAddr>,
    /// The first of them to ask: the last one that answered after another had not.
    preferred: usize,
    entropy: Entropy,
    queries: BTreeMap<QueryNumber, Query<C>>,
    /// By all of the message but its ID.
    same: BTreeMap<(Transport, Vec<u8>), QueryNumber>,
    deadlines: BTreeSet<(Instant, QueryNumber)>,
    next_number: u64,
    transmits: VecDeque<Transmit>,
    answers: VecDeque<Answer<C>>,
}

#[derive(Debug)]
struct Query<C> {
    question: Question,
    message: Vec<u8>,
    clients: Vec<(C, u16)>,
    tries: Vec<Try>,
    /// Where among the upstreams it began.
    first: usize,
    ends_at: Instant,
    /// When something has to be done: the next try, or the end.
    due: Instant,
    /// What to say if nobody has an answer.
    refusal: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Try {
    upstream: SocketAddr,
    id: u16,
    is_over: bool,
}

impl<C: PartialEq> Forwarder<C> {
    /// A forwarder to name servers, asked in this order; without any, everything is refused. `seed` must come
    /// from a cryptographic source: the IDs are drawn from it.
    pub fn new(upstreams: Vec<SocketAddr>, seed: [u8; 32]) -> Self {
        let mut forwarder = Self {
            upstreams: Vec::new(),
            preferred: 0,
            entropy: Entropy::new(seed),
            queries: BTreeMap::new(),
            same: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            next_number: 0,
            transmits: VecDeque::new(),
            answers: VecDeque::new(),
        };
        forwarder.set_upstreams(upstreams);
        forwarder
    }

    /// Asks these from now on. Queries under way go on with them at their next try. More than eight are not
    /// taken.
    pub fn set_upstreams(&mut self, mut upstreams: Vec<SocketAddr>) {
        upstreams.truncate(UPSTREAMS_MAX);
        if upstreams != self.upstreams {
            self.upstreams = upstreams;
            self.preferred = 0;
        }
    }

    /// Whom it asks.
    pub fn upstreams(&self) -> &[SocketAddr] {
        &self.upstreams
    }

    /// Queries under way.
    pub fn len(&self) -> usize {
        self.queries.len()
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }

    /// A client asks `question`, which was read from `message`.
    ///
    /// # Errors
    /// The reply for the client, where there is nobody to ask or too much to do.
    pub fn handle_question(
        &mut self,
        now: Instant,
        client: C,
        question: Question,
        message: &[u8],
    ) -> Result<(), Vec<u8>> {
        if self.upstreams.is_empty() {
            return Err(question.refused());
        }
        let Some((_, content)) = message.split_at_checked(2) else {
            return Err(question.failed());
        };
        let key = (question.transport, content.to_vec());
        if let Some(query) = self.same.get(&key).and_then(|at| self.queries.get_mut(at)) {
            let waiting = (client, question.id());
            if query.clients.contains(&waiting) {
                // It has sent its question again, and gets one answer.
                return Ok(());
            }
            if query.clients.len() == CLIENTS_MAX {
                return Err(question.failed());
            }
            query.clients.push(waiting);
            return Ok(());
        }
        if self.queries.len() == QUERIES_MAX {
            return Err(question.failed());
        }
        let number = QueryNumber(self.next_number);
        self.next_number += 1;
        self.same.insert(key, number);
        self.deadlines.insert((now, number));
        let query = Query {
            clients: vec![(client, question.id())],
            question,
            message: message.to_vec(),
            tries: Vec::new(),
            first: self.preferred,
            ends_at: now + QUERY_TIME,
            due: now,
            refusal: None,
        };
        self.queries.insert(number, query);
        self.go_on(now, number);
        Ok(())
    }

    /// A message has come back from `upstream`, on a socket of this query.
    pub fn handle_answer(
        &mut self,
        now: Instant,
        number: QueryNumber,
        upstream: SocketAddr,
        message: Vec<u8>,
    ) {
        let Some(query) = self.queries.get_mut(&number) else {
            return;
        };
        let asked = &query.question.query;
        let found = query.tries.iter_mut().find_map(|attempt| {
            let reply = if attempt.upstream == upstream && !attempt.is_over {
                judge(&message, attempt.id, asked)
            } else {
                Reply::Foreign
            };
            (reply != Reply::Foreign).then_some((attempt, reply))
        });
        match found {
            Some((_, Reply::Final)) => {
                // Whom it was sent to first is away; one that said no is only not the right one to ask this.
                if query.refusal.is_none()
                    && let Some(at) = self.upstreams.iter().position(|at| *at == upstream)
                {
                    self.preferred = at;
                }
                self.finish(number, Some(message));
            }
            Some((attempt, Reply::Unable(is_whole))) => {
                attempt.is_over = true;
                if is_whole {
                    query.refusal = Some(message);
                }
                self.go_on(now, number);
            }
            _ => {}
        }
    }

    /// `upstream` cannot be reached, or has hung up.
    pub fn handle_failure(&mut self, now: Instant, number: QueryNumber, upstream: SocketAddr) {
        let Some(query) = self.queries.get_mut(&number) else {
            return;
        };
        let mut is_news = false;
        for attempt in query.tries.iter_mut().filter(|at| at.upstream == upstream) {
            is_news |= !attempt.is_over;
            attempt.is_over = true;
        }
        if is_news {
            self.go_on(now, number);
        }
    }

    /// To be called when [`Self::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, number)) = self.deadlines.first().copied()
            && at <= now
        {
            self.go_on(now, number);
        }
    }

    /// When to call [`Self::handle_timeout`] next: a server has taken long, or a query is at its end.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next query that is at its end.
    pub fn poll_answer(&mut self) -> Option<Answer<C>> {
        self.answers.pop_front()
    }

    /// The next try, or the end if there is nothing left to try or to wait for.
    fn go_on(&mut self, now: Instant, number: QueryNumber) {
        let Some(query) = self.queries.get_mut(&number) else {
            return;
        };
        self.deadlines.remove(&(query.due, number));
        let next = query.next_upstream(&self.upstreams);
        let is_hopeless = next.is_none() && query.tries.iter().all(|attempt| attempt.is_over);
        if query.ends_at <= now || is_hopeless {
            return self.finish(number, None);
        }
        query.due = query.ends_at;
        if let Some(upstream) = next {
            let patience = match query.question.transport {
                Transport::Udp => UDP_TRY,
                Transport::Tcp => TCP_TRY,
            };
            query.due = query.due.min(now + patience);
            // The low half: 16 bits of a number that has 32.
            let id = self.entropy.number() as u16;
            query.tries.push(Try {
                upstream,
                id,
                is_over: false,
            });
            self.transmits.push_back(Transmit {
                query: number,
                upstream,
                transport: query.question.transport,
                message: with_id(query.message.clone(), id),
            });
        }
        self.deadlines.insert((query.due, number));
    }

    /// Ends a query: with an answer, else with what a server refused it with, else with our own words.
    fn finish(&mut self, number: QueryNumber, answer: Option<Vec<u8>>) {
        let Some(mut query) = self.queries.remove(&number) else {
            return;
        };
        self.deadlines.remove(&(query.due, number));
        let key = (query.question.transport, query.message.split_off(2));
        self.same.remove(&key);
        let room = query.question.room();
        let is_answered = answer.is_some();
        let reply = answer
            .or(query.refusal)
            .map(|message| cut(message, &query.question.query, room))
            .unwrap_or_else(|| query.question.failed());
        let replies = query.clients.into_iter();
        self.answers.push_back(Answer {
            query: number,
            is_answered,
            replies: replies
                .map(|(client, id)| (client, with_id(reply.clone(), id)))
                .collect(),
        });
    }
}

impl<C> Query<C> {
    /// Whom to ask next: in turn, but nobody again who has said no, or again by TCP.
    fn next_upstream(&self, upstreams: &[SocketAddr]) -> Option<SocketAddr> {
        let (most, is_again) = match self.question.transport {
            Transport::Udp => (UDP_TRIES, true),
            Transport::Tcp => (TCP_TRIES, false),
        };
        if self.tries.len() >= most {
            return None;
        }
        let start = self.first + self.tries.len();
        let in_turn = (0..upstreams.len()).map(|step| upstreams[(start + step) % upstreams.len()]);
        let may_be_asked = |upstream: &SocketAddr| {
            let mut tries = self.tries.iter().filter(|at| at.upstream == *upstream);
            tries.all(|attempt| is_again && !attempt.is_over)
        };
        in_turn.into_iter().find(may_be_asked)
    }
}

fn with_id(mut message: Vec<u8>, id: u16) -> Vec<u8> {
    if let Some(place) = message.first_chunk_mut() {
        *place = id.to_be_bytes();
    }
    message
}

#[cfg(test)]
mod tests;
