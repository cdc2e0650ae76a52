//! Two effects that happen together or not at all, whenever the task is stopped.

use asupersync::{Cancelled, Cx, Effect, Staged};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[asupersync::main]
async fn main(cx: &Cx) -> Result<(), Refusal> {
    let (ann, bob) = (Account::new(100), Account::new(0));
    transfer(cx, &ann, &bob, 60).await?;
    println!("Ann has {}, Bob has {}", ann.balance(), bob.balance());
    Ok(())
}

/// Moves money, if it is there.
pub(crate) async fn transfer(
    cx: &Cx,
    from: &Account,
    to: &Account,
    amount: u64,
) -> Result<(), Refusal> {
    // Whatever can fail or wait. Stopped in here, the stage takes back what it has.
    let stage = cx.stage().reserve(&Withdraw(from, amount)).await?;
    let stage = stage.reserve(&Deposit(to, amount)).await?;
    // The last moment to stop, and then both happen in one step.
    Ok(stage.commit()?)
}

#[derive(Clone, Debug)]
pub(crate) struct Account(Arc<Mutex<u64>>);

impl Account {
    pub(crate) fn new(balance: u64) -> Self {
        Account(Arc::new(Mutex::new(balance)))
    }

    pub(crate) fn balance(&self) -> u64 {
        *self.0.lock().expect("no panic")
    }

    fn put(&self, amount: u64) {
        *self.0.lock().expect("no panic") += amount;
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is not enough")]
    Short,
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

struct Withdraw<'a>(&'a Account, u64);
struct Deposit<'a>(&'a Account, u64);
/// Money on its way: to where it goes, or back to where it was.
struct Taken<'a>(&'a Account, u64);

impl<'a> Effect for Withdraw<'a> {
    type Staged = Taken<'a>;
    type Error = Refusal;

    async fn reserve(&self, cx: &Cx) -> Result<Taken<'a>, Refusal> {
        // A bank somewhere.
        cx.sleep(Duration::from_millis(1)).await?;
        let mut balance = self.0.0.lock().expect("no panic");
        *balance = balance.checked_sub(self.1).ok_or(Refusal::Short)?;
        Ok(Taken(self.0, self.1))
    }
}

impl Staged for Taken<'_> {
    fn commit(self) {
        // It has been taken already.
    }

    fn rollback(self) {
        self.0.put(self.1);
    }
}

impl<'a> Effect for Deposit<'a> {
    type Staged = Deposit<'a>;
    type Error = Refusal;

    async fn reserve(&self, cx: &Cx) -> Result<Deposit<'a>, Refusal> {
        cx.sleep(Duration::from_millis(1)).await?;
        Ok(Deposit(self.0, self.1))
    }
}

impl Staged for Deposit<'_> {
    fn commit(self) {
        self.0.put(self.1);
    }

    fn rollback(self) {
        // Nothing has been put there yet.
    }
}
