//! Random words that follow from the seed and from the task, and from nothing else.

use asupersync::{CapSet, Capability, Cx, DetHashMap, DetHashSet, LabConfig, LabRuntime, Scope};
use std::collections::BTreeSet;

mod worlds;
use worlds::everywhere;

/// What a variant of the program below does besides.
#[derive(Clone, Copy, Default, Debug)]
struct Extra {
    /// The body draws before and between.
    draws: bool,
    /// The body starts another task at the end.
    task: bool,
    /// The first task starts another one, which draws.
    below: bool,
    /// A region is opened and left.
    region: bool,
}

/// Two tasks, the first with one below; what each of the three draws.
fn draws(seed: u64, extra: Extra) -> [Vec<u64>; 3] {
    async fn three(cx: &Cx) -> Vec<u64> {
        let mut words = Vec::new();
        for _ in 0..3 {
            words.push(cx.random_u64());
            cx.yield_now().await.unwrap();
        }
        words
    }
    LabRuntime::new(LabConfig::default().seed(seed)).run(async |scope: Scope| {
        if extra.draws {
            three(&scope).await;
        }
        let first = scope.spawn(async move |cx: Cx| {
            let below = cx.spawn(async |cx: Cx| three(&cx).await);
            if extra.below {
                cx.spawn(async |cx: Cx| three(&cx).await);
            }
            (three(&cx).await, below.await.into_result().unwrap())
        });
        if extra.region {
            let busy = async |scope: Scope| drop(three(&scope).await);
            scope.region(busy).await.unwrap();
        }
        let second = scope.spawn(async |cx: Cx| three(&cx).await);
        if extra.task {
            scope.spawn(async |cx: Cx| three(&cx).await);
        }
        let (first, below) = first.await.into_result().unwrap();
        [first, below, second.await.into_result().unwrap()]
    })
}

#[test]
fn equal_seeds_give_equal_words_and_others_give_others() {
    for seed in 0..20 {
        let words = draws(seed, Extra::default());
        assert_eq!(words, draws(seed, Extra::default()));
        let distinct: BTreeSet<u64> = words.iter().flatten().copied().collect();
        assert_eq!(distinct.len(), 9, "no stream is another's");
        assert_ne!(words, draws(seed + 1, Extra::default()));
    }
}

#[test]
fn what_others_do_does_not_shift_a_tasks_stream() {
    let plain = Extra::default();
    for seed in 0..20 {
        let expected = draws(seed, plain);
        for extra in [
            Extra {
                draws: true,
                ..plain
            },
            Extra {
                task: true,
                ..plain
            },
            Extra {
                below: true,
                ..plain
            },
            Extra {
                region: true,
                ..plain
            },
        ] {
            assert_eq!(draws(seed, extra), expected, "{extra:?}");
        }
    }
}

#[test]
fn a_second_run_of_a_lab_draws_other_words() {
    let lab = LabRuntime::new(LabConfig::default());
    let draw = || lab.run(async |cx: Scope| cx.random_u64());
    assert_ne!(draw(), draw());
}

#[test]
fn generators_are_split_and_need_their_capability() {
    everywhere(async |scope: Scope| {
        let (mut a, mut b) = (scope.rng().unwrap(), scope.rng().unwrap());
        assert_ne!(a.next_u64(), b.next_u64());
        assert!((0..100).all(|_| a.below(6) < 6));
        let none = scope.restrict(CapSet::NONE);
        assert_eq!(none.rng().unwrap_err().capability, Capability::Random);
        // A single word cannot fail, and is not gated.
        assert_ne!(none.random_u64(), none.random_u64());
    });
}

#[test]
fn maps_with_fixed_keys_repeat_their_order_in_every_run() {
    let order = |seed| {
        LabRuntime::new(LabConfig::default().seed(seed)).run(async |scope: Scope| {
            let mut rng = scope.rng().unwrap();
            let keys: Vec<u64> = (0..64).map(|_| rng.next_u64()).collect();
            let map: DetHashMap<u64, usize> = keys.iter().copied().zip(0..).collect();
            let set: DetHashSet<u64> = keys.into_iter().collect();
            (
                map.into_iter().collect::<Vec<_>>(),
                set.into_iter().collect::<Vec<_>>(),
            )
        })
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}
