//! Errors of the system with what was being done, and the system's code through that.

use std::error::Error;
use std::io;

/// An error, and what it is of.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}{advice}")]
struct Explained {
    what: String,
    source: io::Error,
    advice: &'static str,
}

/// Says what the error is of. The kind stays, and the error as it came is the
/// source, where [`os_error`] finds its code.
#[cold]
pub(crate) fn explain(what: String, source: io::Error, advice: &'static str) -> io::Error {
    let kind = source.kind();
    let explained = Explained {
        what,
        source,
        advice,
    };
    io::Error::new(kind, explained)
}

/// The system's code of an error: its own, or that of the error which it explains.
///
/// The errors of sockets say what was done and with whom, so that a log line is
/// of use: `read from 10.0.0.7:5432: Connection reset by peer (os error 104)`.
/// [`io::Error::raw_os_error`] is `None` for such an error, since it is not the
/// system's any more; [`io::Error::kind`] is what it was. This looks through:
/// at the error, at what it wraps, and at its sources.
///
/// The lab has no codes: its errors have kinds.
///
/// ```
/// use asupersync::io;
/// use asupersync::net::TcpStream;
/// use asupersync::{Runtime, Scope};
///
/// # let runtime = Runtime::builder().current_thread().build().unwrap();
/// # runtime.block_on(async |scope: Scope| {
/// let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
/// let refused = TcpStream::connect(&scope, nobody).await.unwrap_err();
/// assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
/// assert!(refused.to_string().contains(&nobody.to_string()));
/// assert!(refused.raw_os_error().is_none() && io::os_error(&refused).is_some());
/// # }).unwrap();
/// ```
pub fn os_error(error: &(dyn Error + 'static)) -> Option<i32> {
    let mut next = Some(error);
    while let Some(error) = next {
        let wrapped = match error.downcast_ref::<io::Error>() {
            None => None,
            Some(io) => match io.raw_os_error() {
                Some(code) => return Some(code),
                // Its source would be the source of what it wraps.
                None => io.get_ref(),
            },
        };
        next = match wrapped {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_through_everything_that_wraps_it() {
        let system = || io::Error::from_raw_os_error(104);
        assert_eq!(os_error(&system()), Some(104));
        let explained = explain("read from 127.0.0.1:1".to_owned(), system(), "; try again");
        let says = format!("read from 127.0.0.1:1: {}; try again", system());
        assert_eq!(explained.to_string(), says);
        assert_eq!(explained.kind(), system().kind());
        assert_eq!(explained.raw_os_error(), None);
        assert_eq!(os_error(&explained), Some(104));
        let source = explained.source().unwrap().downcast_ref::<io::Error>();
        assert_eq!(source.unwrap().raw_os_error(), Some(104));
        // What was explained once more, wrapped by others, or boxed.
        let again = explain("reading the head".to_owned(), explained, "");
        assert_eq!(os_error(&again), Some(104));
        let other = io::Error::other(again);
        assert_eq!(os_error(&other), Some(104));
        let boxed: Box<dyn Error + Send + Sync> = other.into();
        assert_eq!(os_error(&*boxed), Some(104));
        assert_eq!(os_error(&io::Error::from(io::ErrorKind::TimedOut)), None);
    }
}
