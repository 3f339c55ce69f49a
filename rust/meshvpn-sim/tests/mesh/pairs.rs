//! Two nodes that have talked for a while are held to what the oracle says of them.

use std::fmt;

use meshvpn_proto::path::agent::Route;
use meshvpn_sim::machines::MeshNode;
use meshvpn_sim::oracle::{Budget, Outlook, Way, outlook};

use crate::plan::{Mesh, Outcome, WINDOW};

/// Of the packets of a window, at least this share arrives on lines that lose up to a twelfth.
const ARRIVING: f64 = 0.7;

/// A pair that is not as it should be.
#[derive(Debug)]
pub(crate) struct Failure {
    at: std::time::Duration,
    pair: [String; 2],
    expected: Outlook,
    found: String,
}

/// Looks at every pair of nodes that are so far apart.
pub(crate) fn check(mesh: &Mesh, distance: usize, outcome: &mut Outcome) {
    let count = mesh.members.len();
    let began = mesh.net.now() - WINDOW;
    for from in 0..count {
        let to = (from + distance) % count;
        let pair = [from, to].map(|index| &mesh.members[index]);
        // Whoever was disturbed may still be on the way back.
        if pair
            .iter()
            .any(|member| member.disturbed_until > began || member.id.is_none())
        {
            continue;
        }
        let expected = outlook(&pair[0].side, &pair[1].side, &Budget::default());
        let is_relay_needed = !expected.is_direct();
        if is_relay_needed && mesh.relays_disturbed_until > began {
            continue;
        }
        outcome.checked += 1;
        let problem = problem(mesh, [from, to], expected);
        *outcome.ways.entry(expected.to_string()).or_default() += 1;
        if let Some(found) = problem {
            outcome.failures.push(Failure {
                at: mesh.net.now(),
                pair: pair.map(|member| member.name.clone()),
                expected,
                found,
            });
        }
    }
}

fn problem(mesh: &Mesh, pair: [usize; 2], expected: Outlook) -> Option<String> {
    let packets = WINDOW.as_millis() as f64 / 500.0;
    for (own, other) in [(pair[0], pair[1]), (pair[1], pair[0])] {
        let (member, peer) = (&mesh.members[own], &mesh.members[other]);
        let machine = member.machine?;
        let node = mesh.net.machine::<MeshNode>(machine);
        let Some(status) = node.status(mesh.net.clock(), peer.id?) else {
            return Some(format!("{} does not know {}", member.name, peer.name));
        };
        let (route, reason) = (status.path.route, status.path.reason);
        let is_right = match expected {
            // A node that sends no openers may be lucky or not.
            Outlook::Direct(Way::PunchingWithOpener) | Outlook::Guessed { .. } => {
                route != Route::Nowhere
            }
            Outlook::Direct(_) => matches!(route, Route::Direct(_)),
            Outlook::Relayed(_) => route == Route::Relayed,
        };
        if !is_right {
            return Some(format!("{}: {route}, because {reason}", member.name));
        }
        let arrived = member.received.get(&other).map_or(0, Vec::len);
        if (arrived as f64) < packets * ARRIVING {
            let name = &peer.name;
            return Some(format!(
                "{arrived} of {packets} packets from {name}, {route}"
            ));
        }
    }
    None
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = &self.pair;
        let at = self.at.as_secs();
        write!(
            f,
            "{at} s, {a} x {b}: expected {}; {}",
            self.expected, self.found
        )
    }
}
