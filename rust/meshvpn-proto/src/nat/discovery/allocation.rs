//! How a NAT gives out ports, judged by the ports that it gave to one socket after another.

use super::super::behavior::Allocation;

/// Fewer samples show nothing.
const FEWEST: usize = 4;
/// What a counter may have been moved by others between two of our mappings, in ports.
const LONGEST_STEP: i32 = 256;

/// The pattern in a series of (inner port, outer port), `outer` being the outer ports in the same order;
/// none when there are too few.
pub(super) fn pattern(ports: &[(u16, u16)], outer: &[u16]) -> Option<Allocation> {
    if outer.len() < FEWEST {
        return None;
    }
    if ports.iter().all(|(inner, outer)| inner == outer) {
        return Some(Allocation::Preserving);
    }
    Some(step(outer).map_or_else(|| random(outer), |step| Allocation::Sequential { step }))
}

/// A counter's step: most differences have one sign and are short. Others' mappings come in between, and so
/// the differences are multiples of it.
fn step(outer: &[u16]) -> Option<i32> {
    let differences = outer.windows(2).map(|pair| {
        // Around the end of the range and on from its beginning.
        i32::from(pair[1].wrapping_sub(pair[0]) as i16)
    });
    let short: Vec<_> = differences
        .filter(|difference| difference.abs() <= LONGEST_STEP && *difference != 0)
        .collect();
    let up = short.iter().filter(|difference| **difference > 0).count();
    let (count, sign) = if up * 2 >= short.len() {
        (up, 1)
    } else {
        (short.len() - up, -1)
    };
    // A quarter may be reordered, or lie beyond the end of a range.
    if count * 4 < (outer.len() - 1) * 3 {
        return None;
    }
    let along = short.iter().filter(|difference| **difference * sign > 0);
    let step = along.fold(0, |gcd, difference| common_divisor(gcd, difference.abs()));
    Some(step * sign)
}

fn random(outer: &[u16]) -> Allocation {
    let lowest = outer.iter().copied().min().unwrap_or(0);
    let highest = outer.iter().copied().max().unwrap_or(0);
    let count = outer.len() as u32;
    // n numbers spread evenly over a range leave 1/(n+1) of it free at each end.
    let spread = u32::from(highest - lowest) + 1;
    let range = spread * (count + 1) / (count - 1);
    Allocation::Random {
        lowest,
        highest,
        range: range.min(1 << 16),
    }
}

fn common_divisor(a: i32, b: i32) -> i32 {
    if a == 0 { b } else { common_divisor(b % a, a) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(outer: &[u16]) -> Option<Allocation> {
        let ports: Vec<_> = outer.iter().map(|outer| (5000, *outer)).collect();
        pattern(&ports, outer)
    }

    #[test]
    fn a_counter_is_found_also_when_others_move_it() {
        let sequential = |step| Some(Allocation::Sequential { step });
        assert_eq!(of(&[20000, 20001, 20002, 20003, 20004]), sequential(1));
        assert_eq!(of(&[20000, 20001, 20007, 20008, 20014]), sequential(1));
        assert_eq!(of(&[30000, 30002, 30004, 30010, 30012]), sequential(2));
        assert_eq!(of(&[30000, 29999, 29998, 29990, 29989]), sequential(-1));
        // Around the end of the range.
        assert_eq!(of(&[65533, 65534, 65535, 1024, 1025, 1026]), sequential(1));
        // Two datagrams overtook each other.
        assert_eq!(of(&[100, 101, 103, 102, 104, 105, 106, 107]), sequential(1));
    }

    #[test]
    fn no_pattern_is_no_pattern() {
        assert!(matches!(
            of(&[4000, 51000, 22000, 13000, 64000, 900, 33000, 47000]),
            Some(Allocation::Random {
                range: 60_000..,
                ..
            })
        ));
        let Some(Allocation::Random { range, .. }) =
            of(&[2100, 2990, 2301, 2800, 2477, 2650, 2222, 2900])
        else {
            panic!("a block of a thousand ports");
        };
        assert!((900..1300).contains(&range), "{range}");
        assert_eq!(of(&[1, 2, 3]), None);
    }

    #[test]
    fn a_kept_port_is_seen_before_any_other_pattern() {
        let ports: Vec<_> = (5000..5008).map(|port| (port, port)).collect();
        let outer: Vec<_> = (5000..5008).collect();
        assert_eq!(pattern(&ports, &outer), Some(Allocation::Preserving));
    }
}
