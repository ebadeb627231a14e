//! What was done to a disk, and what a power cut leaves of it.

use fastrand::Rng;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// One thing that was done to a disk.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Write { offset: u64, data: Vec<u8> },
    Resize(u64),
    Flush,
}

/// Plays a tape up to power cuts, each after the one before.
#[derive(Debug)]
pub(crate) struct Player<'a> {
    steps: &'a [Step],
    /// What is certainly there: everything before the last flush that was looked at.
    flushed: Vec<u8>,
    played: usize,
}

impl<'a> Player<'a> {
    pub(crate) fn new(before: Vec<u8>, steps: &'a [Step]) -> Self {
        Self {
            steps,
            flushed: before,
            played: 0,
        }
    }

    /// The disk after a cut behind so many steps: everything up to the last flush, and of what came
    /// later any part: a step is there, or not, or some of its sectors are.
    pub(crate) fn cut(&mut self, after: usize, rng: &mut Rng) -> Vec<u8> {
        let steps = &self.steps[..after];
        let is_flush = |step: &Step| matches!(step, Step::Flush);
        let flushed = steps.iter().rposition(is_flush).map_or(0, |at| at + 1);
        for step in &steps[self.played.min(flushed)..flushed] {
            apply(&mut self.flushed, step);
        }
        self.played = self.played.max(flushed);
        let mut left = self.flushed.clone();
        // Not always about a half: a cache may have written nearly all of it, or nothing at all.
        let odds = match rng.u8(..10) {
            0 => return left,
            1 => 1.0,
            _ => rng.f64(),
        };
        for step in &steps[flushed..] {
            if rng.f64() < odds {
                apply(&mut left, step);
            } else if let Step::Write { offset, data } = step
                && rng.bool()
            {
                tear(&mut left, *offset, data, rng);
            }
        }
        left
    }
}

/// Does it.
pub(crate) fn apply(bytes: &mut Vec<u8>, step: &Step) {
    match step {
        Step::Write { offset, data } => put(bytes, *offset, data),
        Step::Resize(len) => bytes.resize(usize::try_from(*len).unwrap(), 0),
        Step::Flush => {}
    }
}

fn put(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let from = usize::try_from(offset).unwrap();
    let to = from + data.len();
    if bytes.len() < to {
        bytes.resize(to, 0);
    }
    bytes[from..to].copy_from_slice(data);
}

/// Puts some of its sectors.
fn tear(bytes: &mut Vec<u8>, offset: u64, data: &[u8], rng: &mut Rng) {
    let mut at = usize::try_from(offset).unwrap();
    let mut rest = data;
    while !rest.is_empty() {
        let (sector, after) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
        if rng.bool() {
            put(bytes, at as u64, sector);
        }
        at += sector.len();
        rest = after;
    }
}

#[test]
fn a_cut_keeps_what_was_flushed_and_tears_at_sectors() {
    let write = |offset: u64, byte: u8| Step::Write {
        offset,
        data: vec![byte; 2 * SECTOR],
    };
    let steps = [write(0, 1), Step::Flush, write(0, 2), write(1024, 3)];
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let mut player = Player::new(Vec::new(), &steps);
        let mut rng = Rng::with_seed(seed);
        assert_eq!(player.cut(2, &mut rng), vec![1; 1024]);
        let left = player.cut(4, &mut rng);
        for sector in left.chunks(SECTOR) {
            assert!(sector.iter().all(|byte| *byte == sector[0]));
        }
        seen.insert(
            left.chunks(SECTOR)
                .map(|sector| sector[0])
                .collect::<Vec<_>>(),
        );
    }
    assert!(seen.contains(&vec![1, 1]), "nothing of what came later");
    assert!(seen.contains(&vec![2, 2, 3, 3]), "all of it");
    assert!(seen.contains(&vec![2, 1]), "torn");
    assert!(
        seen.contains(&vec![1, 1, 3, 3]),
        "the later without the earlier"
    );
}
