//! A value that many can read without a lock, in an allocation that is used again.

use std::mem;
use std::sync::Arc;

/// Holds a value, or nothing yet. The channel keeps it under its lock; readers
/// take [`Jar::view`]s away and look at them when they have unlocked.
///
/// Replacing the value allocates only while somebody still looks at the old one.
pub(super) struct Jar<T>(Arc<Option<T>>);

/// What was in a jar: to be looked at, and dropped, after unlocking.
pub(super) enum Emptied<T> {
    /// Nobody else looks at it.
    Own(Option<T>),
    /// Others may look at it.
    Seen(View<T>),
}

/// A value as it was when it was looked up; it lives as long as the view.
pub(super) struct View<T>(Arc<Option<T>>);

impl<T> Jar<T> {
    pub(super) fn new(value: Option<T>) -> Self {
        Jar(Arc::new(value))
    }

    /// Puts another value, or nothing, in; hands the old one out.
    pub(super) fn put(&mut self, value: Option<T>) -> Emptied<T> {
        match Arc::get_mut(&mut self.0) {
            Some(place) => Emptied::Own(mem::replace(place, value)),
            None => Emptied::Seen(self.put_beside(value)),
        }
    }

    /// As [`Jar::put`], while somebody looks at the old value.
    pub(super) fn put_beside(&mut self, value: Option<T>) -> View<T> {
        View(mem::replace(&mut self.0, Arc::new(value)))
    }

    /// What is inside.
    pub(super) fn view(&self) -> View<T> {
        View(self.0.clone())
    }

    /// Whether what is inside is what was seen.
    pub(super) fn holds(&self, view: &View<T>) -> bool {
        Arc::ptr_eq(&self.0, &view.0)
    }
}

impl<T> View<T> {
    /// The value.
    ///
    /// # Panics
    /// When the jar was empty.
    pub(super) fn value(&self) -> &T {
        self.0.as_ref().as_ref().expect("only full jars are viewed")
    }

    /// The value, cloned only if others look at it too.
    pub(super) fn into_value(self) -> T
    where
        T: Clone,
    {
        // As a rule the jar has it too: looking first saves an atomic step.
        if Arc::strong_count(&self.0) > 1 {
            return self.value().clone();
        }
        match Arc::try_unwrap(self.0) {
            Ok(value) => value.expect("only full jars are viewed"),
            Err(shared) => View(shared).value().clone(),
        }
    }
}

impl<T> Emptied<T> {
    /// The value.
    ///
    /// # Panics
    /// When the jar was empty.
    pub(super) fn value(&self) -> &T {
        match self {
            Emptied::Own(value) => value.as_ref().expect("only full jars are viewed"),
            Emptied::Seen(view) => view.value(),
        }
    }
}

impl<T: Clone> Emptied<T> {
    /// The value; cloned only if others look at it too.
    ///
    /// # Panics
    /// When the jar was empty.
    pub(super) fn into_value(self) -> T {
        match self {
            Emptied::Own(value) => value.expect("only full jars are emptied for their value"),
            Emptied::Seen(view) => view.into_value(),
        }
    }
}
