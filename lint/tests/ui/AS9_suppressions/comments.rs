fn hidden() {
    tokio::spawn(async {}); // asupersync-lint: allow(AS101, reason = "a decoy")
    // asupersync-lint: allow(detached_spawn, reason = "a decoy")
    tokio::spawn(async {});
    tokio::spawn(async {
        println!("several lines");
    }); // asupersync-lint: allow(asupersync::detached_spawn, reason = "a decoy")
    // asupersync-lint: disable(AS101, reason = "a decoy")
    tokio::spawn(async {});
    tokio::spawn(async {});
    // asupersync-lint: enable(AS101)
    tokio::spawn(async {}); //~ AS101
}

fn in_a_macro() {
    println!(
        "{:?}",
        // asupersync-lint: allow(AS301, reason = "a decoy")
        std::time::Instant::now()
    );
}

fn wrong() {
    //~v AS901
    tokio::spawn(async {}); // asupersync-lint: allow(AS101)
    //~v AS902
    let x = 1; // asupersync-lint: allow(AS101, reason = "nothing here")
    //~v AS902
    let y = 2; // asupersync-lint: allow(AS777, reason = "no such rule")
    let text = "// asupersync-lint: allow(AS101)";
    // A comment that speaks of asupersync-lint: allow(AS101) is none.
    drop((x, y, text));
}
