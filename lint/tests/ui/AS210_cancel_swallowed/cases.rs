use asupersync::channel::mpsc::{Receiver, RecvError, Sender};
use asupersync::{Cancelled, Cx, Outcome, Scope, TaskHandle};
use std::time::Duration;

async fn as_ok(cx: &Cx, rx: &mut Receiver<u32>) -> Result<u32, Cancelled> {
    match rx.recv(cx).await {
        Ok(number) => Ok(number),
        Err(RecvError::Closed) => Ok(0),
        Err(RecvError::Cancelled(_)) => Ok(1), //~ AS210
    }
}

async fn early(cx: &Cx) -> std::io::Result<()> {
    if let Err(cancelled) = cx.checkpoint() {
        println!("{cancelled}");
        return Ok(()); //~ AS210
    }
    Ok(())
}

async fn made_up(cx: &Cx, rx: &mut Receiver<u32>) -> Result<u32, std::io::Error> {
    let number = match rx.recv(cx).await {
        Ok(number) => number,
        Err(RecvError::Closed) => 1,
        Err(RecvError::Cancelled(_)) => 0, //~ AS210
    };
    Ok(number)
}

async fn round_and_round(cx: &Cx, rx: &mut Receiver<u32>) -> Result<(), Cancelled> {
    loop {
        match rx.recv(cx).await {
            Ok(number) => println!("{number}"),
            Err(RecvError::Closed) => return Ok(()),
            Err(RecvError::Cancelled(_)) => continue, //~ AS210
        }
    }
}

async fn logged(cx: &Cx) -> Result<(), Cancelled> {
    loop {
        match cx.sleep(Duration::from_secs(1)).await {
            Ok(()) => return Ok(()),
            Err(error) => { //~ AS210
                println!("{error}");
            }
        }
    }
}

async fn not_listened_to(cx: &Cx) {
    let _ = cx.checkpoint(); //~ AS210
    loop {
        let _ = cx.sleep(Duration::from_secs(1)).await; //~ AS210
        println!("tick");
    }
}

async fn passed_on(cx: &Cx, rx: &mut Receiver<u32>, tx: &Sender<u32>) -> Result<u32, Cancelled> {
    if let Err(cancelled) = cx.checkpoint() {
        let _ = tx.send(cx.cleanup(), 1).await;
        return Err(cancelled);
    }
    cx.checkpoint()?;
    let _ = cx.cleanup().sleep(Duration::from_secs(1)).await;
    loop {
        match rx.recv(cx).await {
            Ok(number) => println!("{number}"),
            Err(RecvError::Closed) => break,
            Err(RecvError::Cancelled(cancelled)) => return Err(cancelled),
        }
    }
    match rx.recv(cx).await {
        Err(RecvError::Cancelled(_)) => panic!("not here"),
        other => other.map_err(|_| unreachable!()),
    }
}

async fn looked_at(cx: &Cx, rx: &mut Receiver<u32>) {
    cx.checkpoint().unwrap();
    cx.sleep(Duration::from_secs(1)).await.expect("nobody cancels");
    for _ in 0..3 {
        let _ = cx.sleep(Duration::from_secs(1)).await;
    }
    while let Ok(number) = rx.recv(cx).await {
        let _ = cx.sleep(Duration::from_secs(1)).await;
        println!("{number}");
    }
    let _masked = cx.mask();
    let _ = cx.checkpoint();
}

async fn what_became_of_another(cx: &Cx, task: TaskHandle<u32>) -> Result<u32, Cancelled> {
    match task.join(cx).await? {
        Outcome::Ok(number) => Ok(number),
        Outcome::Cancelled(_) => Ok(0),
        _ => Ok(1),
    }
}

async fn the_end_of_a_task(scope: &Scope) {
    scope.spawn(async |cx| match cx.sleep(Duration::from_secs(1)).await {
        Ok(()) => Ok::<u32, ()>(1),
        Err(_) => Ok(0),
    });
    scope.defer_with(|cx| async move {
        let _ = cx.checkpoint();
    });
    // A server that is asked to stop stops.
    loop {
        if cx_is_done(scope).is_err() {
            break;
        }
    }
}

fn cx_is_done(cx: &Cx) -> Result<(), Cancelled> {
    cx.checkpoint()
}

enum Job {
    Cancelled(u32),
}

fn of_that_name(job: Result<(), Job>) -> Result<(), ()> {
    match job {
        Ok(()) => Ok(()),
        Err(Job::Cancelled(_)) => Ok(()),
    }
}
