use asupersync::Cx;
use rand::Rng;
use std::collections::{BTreeMap, HashMap};

fn ambient() -> u64 {
    let mut rng = rand::thread_rng(); //~ AS302
    let number: u64 = rng.r#gen();
    let home = std::env::var("HOME"); //~ AS302
    drop(home);
    number + rand::random::<u64>() //~ AS302
}

fn order(counts: &HashMap<u32, u32>, table: &BTreeMap<u32, u32>) -> Vec<u32> {
    let mut keys: Vec<u32> = counts.keys().copied().collect(); //~ AS302
    for (key, _) in counts { //~ AS302
        keys.push(*key);
    }
    for (key, _) in table {
        keys.push(*key);
    }
    keys.extend(table.values());
    if counts.contains_key(&1) {
        keys.push(counts[&1]);
    }
    keys
}

fn surroundings() -> Option<Cx> {
    asupersync_compat::current_cx() //~ AS302
}

fn beside_a_context(cx: &Cx) -> u64 {
    rand::random::<u64>() //~ AS302
}

fn of_the_context(cx: &Cx) -> u64 {
    cx.random_u64()
}
