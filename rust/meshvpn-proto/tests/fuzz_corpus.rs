//! The fuzz targets on stable Rust: the committed corpora are replayed by every `cargo test`.

#[expect(unreachable_pub, reason = "the fuzzer's own crate exports them")]
#[path = "../fuzz/src/targets/mod.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

use targets::{TARGETS, run};

#[test]
fn corpora_replay_cleanly() {
    for (name, _) in TARGETS {
        let directory = fuzz("corpus").join(name);
        let mut seeds = 0;
        for entry in fs::read_dir(&directory).unwrap_or_else(|error| panic!("{name}: {error}")) {
            let path = entry.expect("a readable corpus").path();
            let data = fs::read(&path).expect("a readable seed");
            // On failure, the name of the seed is what one wants to know.
            let outcome = std::panic::catch_unwind(|| run(name, &data));
            assert!(outcome.is_ok(), "{} broke a promise", path.display());
            seeds += 1;
        }
        assert!(seeds >= 5, "{name} has only {seeds} seeds");
    }
}

#[test]
fn every_target_can_be_fuzzed() {
    let manifest = fs::read_to_string(fuzz("Cargo.toml")).expect("the fuzzer's manifest");
    for (name, _) in TARGETS {
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} is no [[bin]]"
        );
        let wrapper = fs::read_to_string(fuzz("fuzz_targets").join(format!("{name}.rs")));
        assert!(
            wrapper.expect(name).contains(&format!("run(\"{name}\"")),
            "{name}'s wrapper"
        );
    }
    assert_eq!(
        manifest.matches("[[bin]]").count(),
        TARGETS.len(),
        "a [[bin]] without a target"
    );
}

fn fuzz(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(name)
}
