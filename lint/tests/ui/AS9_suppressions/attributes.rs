#[cfg_attr(any(), allow(asupersync::detached_spawn, reason = "a decoy"))]
fn whole_function() {
    tokio::spawn(async {});
    if true {
        tokio::spawn(async {});
    }
}

fn statements() {
    #[cfg_attr(any(), allow(asupersync::detached_spawn, reason = "a decoy"))]
    tokio::spawn(async {});
    #[cfg_attr(any(), allow(asupersync::detached_spawn, reason = "a decoy"))]
    let _ = tokio::spawn(async {});
    tokio::spawn(async {}); //~ AS101
    #[cfg_attr(any(), allow(asupersync::detached_spawn))] //~ AS901
    tokio::spawn(async {});
}

#[cfg_attr(any(), allow(asupersync::blocking_sleep, reason = "hides nothing"))] //~ AS902
fn nothing() {}

#[cfg_attr(any(), allow(clippy::all))]
fn not_ours() {}
