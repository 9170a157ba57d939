//! Packing: which sequences share a row of limited length, so that little of it stays empty.

use std::collections::BTreeMap;

/// Best-fit decreasing: the longest first, each into the row that it fills most, else into a new one. A length above
/// `limit` has a row of its own.
///
/// Gives the places of each row's lengths. Equal lengths go in order of place, so the result is a pure function of the
/// lengths. At most 11/9 of the rows that the best packing needs, and one more (Johnson 1973); n log n work.
pub fn best_fit(lengths: &[usize], limit: usize) -> Vec<Vec<usize>> {
    let mut places: Vec<usize> = (0..lengths.len()).collect();
    places.sort_by_key(|&place| std::cmp::Reverse(lengths[place]));
    let mut rows: Vec<Vec<usize>> = Vec::new();
    // Room left → the rows that have it.
    let mut open: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for place in places {
        let length = lengths[place];
        let fullest = open.range(length..).next().map(|(&room, _)| room);
        let (row, room) = match fullest.and_then(|room| take(&mut open, room)) {
            Some(found) => found,
            None => {
                rows.push(Vec::new());
                (rows.len() - 1, limit.max(length))
            }
        };
        rows[row].push(place);
        open.entry(room - length).or_default().push(row);
    }
    rows
}

/// Removes a row that has exactly this room.
fn take(open: &mut BTreeMap<usize, Vec<usize>>, room: usize) -> Option<(usize, usize)> {
    let rows = open.get_mut(&room)?;
    let row = rows.pop()?;
    if rows.is_empty() {
        open.remove(&room);
    }
    Some((row, room))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_goes_where_it_leaves_least() {
        assert_eq!(best_fit(&[4, 8, 1, 4, 2, 1], 10), [vec![1, 2, 5], vec![0, 3, 4]]);
        assert_eq!(best_fit(&[5, 7, 3, 5], 10), [vec![1, 2], vec![0, 3]]);
        assert!(best_fit(&[], 10).is_empty());
    }

    #[test]
    fn what_is_too_long_has_a_row_of_its_own() {
        assert_eq!(best_fit(&[12, 3], 10), [vec![0], vec![1]]);
    }

    #[test]
    fn every_place_is_in_one_row_and_no_row_is_too_long() {
        let lengths: Vec<usize> = (0..500).map(|i| 1 + (i * 7919) % 257).collect();
        let rows = best_fit(&lengths, 300);
        let mut all: Vec<usize> = rows.iter().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..500).collect::<Vec<_>>());
        assert!(rows.iter().all(|row| row.iter().map(|&place| lengths[place]).sum::<usize>() <= 300));
        let needed = lengths.iter().sum::<usize>().div_ceil(300);
        assert!(rows.len() <= needed * 11 / 9 + 1, "{} rows, at least {needed} are needed", rows.len());
    }
}
