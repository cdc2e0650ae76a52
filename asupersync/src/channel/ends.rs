//! What the ends of channels have in common.

/// How busy the channel of an end is, which channel that is, and how the end is
/// shown: with its channel's statistics under a name, after fields of its own.
macro_rules! end {
    ($End:ident, $channel:literal $(, $field:ident: $value:expr)*) => {
        impl<T> $End<T> {
            /// How busy the channel is.
            pub fn statistics(&self) -> Statistics {
                self.shared.statistics()
            }

            /// Whether both are ends of the same channel.
            pub fn same_channel(&self, other: &Self) -> bool {
                std::ptr::eq(&*self.shared, &*other.shared)
            }
        }

        impl<T> std::fmt::Debug for $End<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($End))
                    $(.field(stringify!($field), &$value(self)))*
                    .field($channel, &self.statistics())
                    .finish()
            }
        }
    };
}
pub(super) use end;

/// The future of a sender that waits until nobody receives.
macro_rules! closed {
    ($Wait:ty) => {
        /// Future of [`Sender::closed`].
        #[must_use = "futures do nothing unless awaited"]
        pub struct Closed<'a, T>(Waiting<'a, $Wait>);

        impl<T> Future for Closed<'_, T> {
            type Output = Result<(), Cancelled>;

            fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
                self.get_mut().0.poll(task)
            }
        }

        impl<T> DropSafe for Closed<'_, T> {}
    };
}
pub(super) use closed;
