//! The system port: descriptors that only a world with a system under it has.

use std::fmt;
use std::io;
use std::ops::{BitOr, BitOrAssign};
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll};

/// What a program asks of the operating system besides sockets.
pub trait System: Send + Sync {
    /// Reports on a descriptor from now on, until [`Watch::end`]. One that is
    /// `presumed` ready is so until an operation finds otherwise.
    ///
    /// # Errors
    /// The system's: `PermissionDenied` for one that is always ready, as a
    /// regular file; `AlreadyExists` for one that is reported on already.
    fn watch(
        &self,
        fd: BorrowedFd<'_>,
        interest: Interest,
        presumed: bool,
    ) -> io::Result<Box<dyn Watch>>;
}

/// A descriptor that the system reports on.
pub trait Watch: Send + Sync {
    /// Ready once the direction has something of what is wanted.
    ///
    /// One waker is kept per direction: the last one's.
    fn poll_ready(&self, direction: Direction, wanted: Ready, cx: &mut Context<'_>) -> Poll<Seen>;

    /// What is known of the direction now.
    fn seen(&self, direction: Direction) -> Seen;

    /// Forgets what was seen of a direction, unless something was reported since.
    fn clear(&self, direction: Direction, seen: Seen, what: Ready);

    /// Ends the reports, before the descriptor is closed.
    fn end(&self, fd: BorrowedFd<'_>);
}

/// What an operation waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Something to read, urgent or not.
    Read,
    /// Room to write.
    Write,
}

/// What was reported of a direction, and up to when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// What it is.
    pub ready: Ready,
    /// Tells it from what is reported later; for the port that gave it.
    pub mark: usize,
}

macro_rules! flags {
    ($(#[$doc:meta])* $t:ident { $($(#[$flag:meta])* $name:ident = $bit:literal, $is:ident;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        #[must_use]
        pub struct $t(u8);

        impl $t {
            $($(#[$flag])* pub const $name: $t = $t(1 << $bit);)*

            $(
                #[doc = concat!("Whether [`", stringify!($t), "::", stringify!($name), "`] is in it.")]
                pub const fn $is(self) -> bool {
                    self.0 & Self::$name.0 != 0
                }
            )*

            /// What is in both.
            pub const fn meet(self, o: $t) -> $t {
                $t(self.0 & o.0)
            }

            /// What is in this one and not in the other.
            pub const fn without(self, o: $t) -> $t {
                $t(self.0 & !o.0)
            }

            /// Whether nothing is in it.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }
        }

        impl BitOr for $t {
            type Output = $t;

            fn bitor(self, o: $t) -> $t {
                $t(self.0 | o.0)
            }
        }

        impl BitOrAssign for $t {
            fn bitor_assign(&mut self, o: $t) {
                self.0 |= o.0;
            }
        }

        impl fmt::Debug for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let named = [$((self.$is(), stringify!($name)),)*];
                let names: Vec<_> = named.iter().filter(|(is, _)| *is).map(|(_, n)| *n).collect();
                match names.is_empty() {
                    true => f.write_str("EMPTY"),
                    false => f.write_str(&names.join("|")),
                }
            }
        }
    };
}

flags! {
    /// What the system is asked to report of a descriptor.
    ///
    /// ```
    /// use asupersync::io::unix::Interest;
    ///
    /// let both = Interest::READABLE | Interest::WRITABLE;
    /// assert!(both.is_readable() && both.is_writable() && !both.is_priority());
    /// assert_eq!(both.without(Interest::READABLE), Interest::WRITABLE);
    /// ```
    Interest {
        /// Something to read, or the end of it.
        READABLE = 0, is_readable;
        /// Room to write, or nobody to write to.
        WRITABLE = 1, is_writable;
        /// Something urgent (`POLLPRI`), or an error: pressure of Linux, an
        /// attribute of sysfs that changed, out-of-band data. What it is depends
        /// on the descriptor.
        PRIORITY = 2, is_priority;
    }
}

flags! {
    /// What the system reported of a descriptor, and nobody found otherwise since.
    ///
    /// An error of the descriptor makes it readable and writable: the next
    /// operation tells what it is.
    Ready {
        /// Something to read, or the end of it.
        READABLE = 0, is_readable;
        /// Room to write, or nobody to write to.
        WRITABLE = 1, is_writable;
        /// Something urgent: see [`Interest::PRIORITY`].
        PRIORITY = 2, is_priority;
        /// The other end writes no more.
        READ_CLOSED = 3, is_read_closed;
        /// The other end reads no more.
        WRITE_CLOSED = 4, is_write_closed;
    }
}

impl Ready {
    /// Nothing.
    pub const EMPTY: Ready = Ready(0);

    /// Everything.
    pub const ALL: Ready = Ready(u8::MAX);
}

impl From<Interest> for Ready {
    /// What whoever has the interest waits for: the first flags are the same.
    fn from(interest: Interest) -> Ready {
        Ready(interest.0)
    }
}

/// What a world without a system says.
pub(super) fn refused() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this world has no processes, standard streams or descriptors of the system, as they would not repeat: \
         hand the program a stand-in for them, or run it on a `Runtime`",
    )
}
