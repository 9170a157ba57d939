//! Trials of several objectives: which of them no other one beats, and which are best where several are that.
//!
//! All over losses, of which less is better.

/// Whether the first is nowhere worse and somewhere better.
pub fn dominates(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b) && a.iter().zip(b).any(|(a, b)| a < b)
}

/// The positions of those that none dominates.
pub fn front(losses: &[Vec<f64>]) -> Vec<usize> {
    let is_best = |place: &usize| !losses.iter().any(|other| dominates(other, &losses[*place]));
    (0..losses.len()).filter(is_best).collect()
}

/// The positions of the `count` best: front after front, and of the last one those that fill the most space together.
pub fn best(losses: &[Vec<f64>], count: usize) -> Vec<usize> {
    let (mut best, mut left): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..losses.len()).collect());
    while best.len() < count && !left.is_empty() {
        let of_left: Vec<Vec<f64>> = left.iter().map(|place| losses[*place].clone()).collect();
        let front = front(&of_left);
        let wanted = count - best.len();
        let taken = match front.len() <= wanted {
            true => front.clone(),
            false => widest(&front.iter().map(|place| of_left[*place].clone()).collect::<Vec<_>>(), wanted)
                .into_iter()
                .map(|place| front[place])
                .collect(),
        };
        best.extend(taken.iter().map(|place| left[*place]));
        left = (0..left.len()).filter(|place| !front.contains(place)).map(|place| left[place]).collect();
    }
    best
}

/// The positions of `count` losses that dominate the most space together, one after the other chosen greedily (Guerreiro, Fonseca and Paquete,
/// "Greedy hypervolume subset selection in low dimensions", 2016). Equal ones count once, as long as there are others.
fn widest(losses: &[Vec<f64>], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..losses.len()).collect();
    order.sort_by(|a, b| losses[*a].partial_cmp(&losses[*b]).unwrap_or(std::cmp::Ordering::Equal));
    let unique: Vec<usize> = order.chunk_by(|a, b| losses[*a] == losses[*b]).map(|equal| equal[0]).collect();
    if unique.len() < count {
        let duplicates = (0..losses.len()).filter(|place| !unique.contains(place)).take(count - unique.len());
        return unique.iter().copied().chain(duplicates).collect();
    }
    let reference = reference(losses);
    if reference.iter().any(|end| !end.is_finite()) {
        return unique[..count].to_vec();
    }
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < count {
        let gain = |place: usize| {
            let hidden: Vec<Vec<f64>> = chosen.iter().map(|other| worse(&losses[*other], &losses[place])).collect();
            volume(&[losses[place].clone()], &reference) - volume(&hidden, &reference)
        };
        let mut best = (f64::NEG_INFINITY, 0);
        for &place in unique.iter().filter(|place| !chosen.contains(place)) {
            let gain = gain(place);
            if gain > best.0 {
                best = (gain, place);
            }
        }
        chosen.push(best.1);
    }
    chosen
}

/// A point that is a little worse than all.
fn reference(losses: &[Vec<f64>]) -> Vec<f64> {
    let worst = |place: usize| losses.iter().map(|loss| loss[place]).fold(f64::NEG_INFINITY, f64::max);
    let beyond = |worst: f64| match (1.1 * worst).max(0.9 * worst) {
        0.0 => 1e-12,
        beyond => beyond,
    };
    (0..losses[0].len()).map(|place| beyond(worst(place))).collect()
}

fn worse(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a.max(*b)).collect()
}

/// The space between the reference and the losses: each adds what it shares with none of those behind it (While, Bradstreet and Barone,
/// "A fast way of calculating exact hypervolumes", 2012).
fn volume(losses: &[Vec<f64>], reference: &[f64]) -> f64 {
    let own = |loss: &Vec<f64>| loss.iter().zip(reference).map(|(loss, end)| end - loss).product::<f64>();
    let exclusive = |(place, loss): (usize, &Vec<f64>)| {
        let hidden: Vec<Vec<f64>> = losses[place + 1..].iter().map(|other| worse(other, loss)).collect();
        let kept = front(&hidden).into_iter().map(|place| hidden[place].clone()).collect::<Vec<_>>();
        own(loss) - if kept.is_empty() { 0.0 } else { volume(&without_repeats(kept), reference) }
    };
    losses.iter().enumerate().map(exclusive).sum()
}

fn without_repeats(mut losses: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    losses.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    losses.dedup();
    losses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fronts_come_one_after_the_other() {
        let losses = [[1.0, 4.0], [2.0, 2.0], [4.0, 1.0], [3.0, 3.0], [5.0, 5.0]].map(|loss| loss.to_vec());
        assert_eq!(front(&losses), [0, 1, 2]);
        assert_eq!(best(&losses, 4), [0, 1, 2, 3]);
        // Alone, the middle one dominates the most.
        assert_eq!(best(&losses, 1), [1]);
        assert_eq!(best(&losses, 0), [] as [usize; 0]);
    }

    #[test]
    fn a_volume_is_that_of_the_boxes_together() {
        let losses = [[1.0, 2.0], [2.0, 1.0]].map(|loss| loss.to_vec());
        assert_eq!(volume(&losses, &[3.0, 3.0]), 3.0);
        let losses = [[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]].map(|loss| loss.to_vec());
        assert_eq!(volume(&losses, &[2.0, 2.0, 2.0]), 5.0);
    }
}
