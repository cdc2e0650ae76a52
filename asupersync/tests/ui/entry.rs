use asupersync::{Cx, Scope};

#[asupersync::main]
fn not_async() {}

#[asupersync::main]
async fn two(_cx: &Cx, _scope: Scope) {}

#[asupersync::main]
async fn mutable(_cx: &mut Cx) {}

#[asupersync::main]
async fn wrong_type(_cx: u8) {}

#[asupersync::main]
async fn generic<T>() {}

#[asupersync::main(threads = 2)]
async fn unknown() {}

#[asupersync::main(flavor = "single")]
async fn flavour() {}

#[asupersync::main(flavor = "current_thread", worker_threads = 2)]
async fn contradiction() {}

#[asupersync::main(worker_threads = 0)]
async fn none() {}

#[asupersync::main(worker_threads = 1, worker_threads = 2)]
async fn twice() {}

#[asupersync::main]
async fn returns_a_number() -> u8 {
    1
}

#[asupersync::main]
async fn forgets_its_value() -> Result<(), String> {}

#[asupersync::main]
struct NotAFunction;

#[asupersync::test]
#[test]
async fn tested_twice() {}

#[asupersync::lab_test(seeds = 3)]
async fn no_range() {}

#[asupersync::lab_test(seeds = 3..)]
async fn no_end() {}

#[asupersync::lab_test(flavor = "current_thread")]
async fn no_flavour() {}

fn main() {}
