//! Code the compiler does not see in this build.

#[cfg(feature = "extra")]
pub(crate) fn behind_a_feature() {
    tokio::spawn(async {}); //~ AS101 syn
}

#[cfg(target_os = "none")]
pub(crate) mod elsewhere {
    use tokio::task::spawn;

    pub(crate) async fn start() {
        spawn(async {}); //~ AS101 syn
        std::thread::sleep(std::time::Duration::ZERO); //~ AS401 syn
    }
}

pub(crate) fn in_an_expression() {
    if cfg!(test) {
        tokio::spawn(async {}); //~ AS101
    }
    #[cfg(feature = "extra")]
    {
        tokio::spawn(async {}); //~ AS101 syn
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn in_a_test() {
        tokio::spawn(async {}); //~ AS101
    }
}
