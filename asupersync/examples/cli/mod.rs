//! What the programs with an address have in common: the command line, and what they say.

use asupersync::Cx;
use asupersync::net::TcpListener;
use std::io;

/// The arguments of this program, in place of which `defaults` stand.
pub(crate) fn args<const N: usize>(usage: &str, defaults: [&str; N]) -> io::Result<[String; N]> {
    parse(std::env::args().skip(1), usage, defaults)
}

/// As many arguments as there are defaults, or fewer.
pub(crate) fn parse<const N: usize>(
    given: impl Iterator<Item = String>,
    usage: &str,
    defaults: [&str; N],
) -> io::Result<[String; N]> {
    let given: Vec<String> = given.collect();
    if given.len() > N || given.iter().any(|arg| arg.starts_with('-')) {
        let message = format!("usage: {usage}; without arguments: {}", defaults.join(" "));
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut args = defaults.map(str::to_owned);
    for (arg, given) in args.iter_mut().zip(given) {
        *arg = given;
    }
    Ok(args)
}

/// Listens, and says where.
pub(crate) async fn listen(cx: &Cx, addr: &str) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(cx, addr).await.map_err(|e| {
        let advice = match e.kind() {
            io::ErrorKind::AddrInUse => {
                "; another program listens there: stop it, or pass another address"
            }
            io::ErrorKind::AddrNotAvailable => "; pass an address of this machine",
            io::ErrorKind::PermissionDenied => "; pass a port above 1023",
            _ => "",
        };
        io::Error::new(e.kind(), format!("{e}{advice}"))
    })?;
    println!(
        "listening on {}; Ctrl-C or SIGTERM ends it",
        listener.local_addr()?
    );
    Ok(listener)
}
