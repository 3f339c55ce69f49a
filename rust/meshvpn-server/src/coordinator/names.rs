//! Names: one DNS label a node (RFC 1035, section 2.3.1), unique in the mesh.

use super::state::State;

/// Characters of the longest label.
const LONGEST: usize = 63;
/// For a node that gives no letter or digit to make a name of.
const UNNAMED: &str = "node";

/// What is wrong with a name that a person chose; `None` when nothing is.
pub(super) fn defect(name: &str) -> Option<String> {
    (sanitized(name) != name).then(|| {
        format!(
            "{name:?} is not a name; use up to {LONGEST} of a-z, 0-9 and -, beginning and ending with \
             a letter or digit"
        )
    })
}

/// A name that is free, as much like `wanted` as can be.
pub(super) fn free(state: &State, wanted: &str) -> String {
    // Of a host's full name, the host.
    let label = wanted.split('.').next().unwrap_or_default();
    let base = sanitized(label);
    if state.by_name(&base).is_none() {
        return base;
    }
    let mut numbered = (1u64..).map(|number| {
        let suffix = format!("-{number}");
        let kept = base.len().min(LONGEST - suffix.len());
        format!("{}{suffix}", &base[..kept])
    });
    let free = numbered.find(|name| state.by_name(name).is_none());
    free.unwrap_or(base)
}

/// What is wrong with tags; `None` when nothing is.
pub(super) fn tag_defect(tags: &[String]) -> Option<String> {
    let wrong = tags.iter().find(|tag| defect(tag).is_some())?;
    Some(format!(
        "{wrong:?} is not a tag; use a-z, 0-9 and -, without tag: before it"
    ))
}

fn sanitized(text: &str) -> String {
    let mut name = String::new();
    for character in text.chars().flat_map(char::to_lowercase) {
        match character {
            'a'..='z' | '0'..='9' => name.push(character),
            // What stood between words separates them still.
            _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
            _ => {}
        }
    }
    name.truncate(LONGEST);
    let name = name.trim_end_matches('-');
    if name.is_empty() { UNNAMED } else { name }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_makes_a_label() {
        let state = State::default();
        for (wanted, name) in [
            ("laptop", "laptop"),
            ("Anna's MacBook", "anna-s-macbook"),
            ("db1.example.com", "db1"),
            ("", "node"),
            ("--__--", "node"),
            ("a--b-", "a-b"),
            ("\u{fc}ber", "ber"),
        ] {
            assert_eq!(free(&state, wanted), name);
        }
        assert_eq!(free(&state, &"x".repeat(100)).len(), LONGEST);
        assert_eq!(defect("laptop-2"), None);
        assert!(defect("Laptop").is_some() && defect("").is_some() && defect("a.b").is_some());
    }
}
