//! Chance and hash maps that repeat: a run of the lab is a function of its seed.

use asupersync::{CapabilityDenied, Cx, DetHashMap, LabConfig, LabRuntime};

fn main() {
    for seed in [1, 2, 1] {
        println!("seed {seed}: {:?}", run(seed));
    }
}

/// The shuffled and counted run of a seed.
pub(crate) fn run(seed: u64) -> Vec<(u32, usize)> {
    let lab = LabRuntime::new(LabConfig::default().seed(seed));
    lab.run(async |cx| tally(&cx).expect("the body of a run may do everything"))
}

/// Throws two dice a hundred times; the sums in the order in which a hash map has them.
fn tally(cx: &Cx) -> Result<Vec<(u32, usize)>, CapabilityDenied> {
    // A generator of this task's own: what other tasks draw does not shift it.
    let mut dice = cx.rng()?;
    let mut sums: DetHashMap<u32, usize> = DetHashMap::default();
    for _ in 0..100 {
        *sums.entry(2 + dice.below(6) + dice.below(6)).or_default() += 1;
    }
    // Of a map with random keys this would be in another order in every process.
    Ok(sums.into_iter().collect())
}
