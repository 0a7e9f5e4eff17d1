//! How many signers can stand for an authority each: the size of a maximum matching of a bipartite graph.
//!
//! By augmenting paths (Kuhn's algorithm), in time proportional to the signers times the edges: signers are bounded by
//! the signatures that are tried, authorities by what one rule names. The order of either does not matter.

/// `edges[signer]` are the authorities, numbered below `authorities`, that the signer can stand for.
pub(in super::super) fn most(edges: &[Vec<usize>], authorities: usize) -> usize {
    let mut taken_by: Vec<Option<usize>> = vec![None; authorities];
    (0..edges.len()).filter(|signer| place(*signer, edges, &mut taken_by)).count()
}

/// Finds a place for one more signer, moving others that have one to another of theirs.
fn place(signer: usize, edges: &[Vec<usize>], taken_by: &mut [Option<usize>]) -> bool {
    // Each authority is visited once, from whom it was reached: a path back to the newcomer.
    let mut reached_from: Vec<Option<usize>> = vec![None; taken_by.len()];
    let mut waiting = vec![signer];
    while let Some(mover) = waiting.pop() {
        for &authority in edges.get(mover).into_iter().flatten() {
            let (Some(reached), Some(taken)) = (reached_from.get_mut(authority), taken_by.get(authority)) else {
                continue;
            };
            if reached.is_some() {
                continue;
            }
            *reached = Some(mover);
            match taken {
                Some(holder) => waiting.push(*holder),
                None => {
                    move_along(authority, signer, &reached_from, taken_by);
                    return true;
                }
            }
        }
    }
    false
}

/// From the free authority back to the newcomer, each takes the place that it reached.
fn move_along(free: usize, newcomer: usize, reached_from: &[Option<usize>], taken_by: &mut [Option<usize>]) {
    let mut authority = free;
    // As many steps as there are authorities, at most.
    for _ in 0..taken_by.len() {
        let Some(mover) = reached_from.get(authority).copied().flatten() else { return };
        let left = taken_by.iter().position(|holder| *holder == Some(mover));
        if let Some(slot) = taken_by.get_mut(authority) {
            *slot = Some(mover);
        }
        match left {
            Some(left) if mover != newcomer => authority = left,
            Some(_) | None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every way to give authorities out, for the few of a test.
    fn by_trying(edges: &[Vec<usize>], taken: &mut Vec<usize>) -> usize {
        let Some((first, rest)) = edges.split_first() else { return 0 };
        let mut best = by_trying(rest, taken);
        for &authority in first {
            if !taken.contains(&authority) {
                taken.push(authority);
                best = best.max(1 + by_trying(rest, taken));
                taken.pop();
            }
        }
        best
    }

    #[test]
    fn whoever_comes_first_makes_room_for_whom_has_less_choice() {
        assert_eq!(most(&[vec![0, 1], vec![0]], 2), 2);
        assert_eq!(most(&[vec![0, 1], vec![1, 2], vec![0]], 3), 3);
        assert_eq!(most(&[vec![0, 1, 2]], 3), 1);
        assert_eq!(most(&[vec![0], vec![0], vec![0]], 3), 1);
        assert_eq!(most(&[], 3), 0);
        assert_eq!(most(&[Vec::new(), vec![9]], 2), 0);
    }

    proptest! {
        #[test]
        fn it_is_the_most_that_any_choice_gives(edges in prop::collection::vec(prop::collection::vec(0..5_usize, 0..5), 0..6)) {
            prop_assert_eq!(most(&edges, 5), by_trying(&edges, &mut Vec::new()));
        }
    }
}
