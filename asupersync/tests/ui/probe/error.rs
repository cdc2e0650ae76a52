//! An error that nobody can look into.

use asupersync::Cx;

enum Mine {
    Broken,
}

fn start(cx: &Cx) {
    cx.try_spawn(async |_cx| Err::<(), _>(Mine::Broken));
    cx.try_spawn(async |_cx| Err::<(), u8>(1));
}

fn main() {
    let _ = start;
}
