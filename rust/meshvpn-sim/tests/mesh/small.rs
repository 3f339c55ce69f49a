//! What two nodes do, step by step.

use std::time::Duration;

use meshvpn_proto::path::agent::Route;
use meshvpn_sim::machines::MeshNode;

use crate::plan::{Mesh, Plan};

#[test]
fn nodes_find_each_other_through_the_coordinator_and_the_first_packet_is_soon_there() {
    let plan = Plan {
        nodes: 4,
        minutes: 1,
        has_churn: false,
    };
    let mut mesh = Mesh::new(3, plan);
    (0..4).for_each(|index| mesh.start(index));
    mesh.net.run_for(Duration::from_secs(5));
    mesh.collect();
    let peers: Vec<_> = mesh.members.iter().filter_map(|member| member.id).collect();
    assert_eq!(peers.len(), 4);
    mesh.with_node(0, |node, now| node.send(now, peers[1], 1));
    mesh.net.run_for(Duration::from_millis(500));
    mesh.collect();
    assert_eq!(mesh.members[1].received.get(&0), Some(&vec![1]));
    let node = mesh
        .net
        .machine::<MeshNode>(mesh.members[0].machine.unwrap());
    let status = node.status(mesh.net.clock(), peers[1]).unwrap();
    assert_ne!(status.path.route, Route::Nowhere);
    assert!(status.has_session);
}
