//! Tokens: what is accepted, what is denied and why, and that nothing else is a token.

use asupersync::cx::macaroon::{
    Caveat, Context, Counts, Denied, Discharge, Key, MAX_CAVEATS, MAX_TEXT, Macaroon, Malformed,
    Refused, Stateless, TooLong, UseCounter,
};
use asupersync::{LabConfig, LabRuntime, RegionId, Scope, TaskId, Time};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const KEY: Key = Key::new([7; 32]);
const SHARED: Key = Key::new([8; 32]);

fn minted() -> Macaroon {
    Macaroon::mint(&KEY, "subject", "here").unwrap()
}

fn token(caveats: impl IntoIterator<Item = Caveat>) -> Macaroon {
    (caveats.into_iter()).fold(minted(), |t, c| t.attenuate(c).unwrap())
}

fn verify(token: &Macaroon, context: &Context) -> Result<(), Denied> {
    token.verify(&KEY, context, &mut Counts::default())
}

const fn at(nanos: u64) -> Time {
    Time::from_nanos(nanos)
}

fn equals(key: &str, value: &str) -> Caveat {
    Caveat::Equals {
        key: key.into(),
        value: value.into(),
    }
}

fn rate(uses: u32, nanos: u64) -> Caveat {
    let window = Duration::from_nanos(nanos);
    Caveat::Rate { uses, window }
}

/// The caveats without memory: each with contexts in which it is met and violated.
fn stateless() -> Vec<(Caveat, Vec<Context>, Vec<Context>)> {
    let c = Context::new;
    let (region, task) = (RegionId::new(3, 1), TaskId::new(4, 2));
    let glob = |p: &str| Caveat::Resource(p.into());
    vec![
        (
            Caveat::NotBefore(at(10)),
            vec![c().now(at(10)), c().now(at(11))],
            vec![c().now(at(9))],
        ),
        (
            Caveat::NotAfter(at(10)),
            vec![c().now(at(9))],
            vec![c().now(at(10)), c().now(at(11))],
        ),
        (
            Caveat::InRegion(region),
            vec![c().region(region)],
            vec![
                c().region(RegionId::new(3, 0)),
                c().region(RegionId::new(1, 3)),
            ],
        ),
        (
            Caveat::InTask(task),
            vec![c().task(task)],
            vec![c().task(TaskId::new(4, 0)), c().task(TaskId::new(2, 4))],
        ),
        (
            glob("a/*/c/**"),
            vec![c().resource("a/b/c"), c().resource("a/b/c/d/e")],
            vec![
                c().resource("a/c"),
                c().resource("a/b/c/../../secret"),
                c().resource(""),
            ],
        ),
        (
            equals("tier", "gold"),
            vec![c().fact("tier", "gold")],
            vec![c().fact("tier", "Gold"), c().fact("tier", "")],
        ),
    ]
}

#[test]
fn each_caveat_is_met_violated_or_asks_for_what_is_missing() {
    for (caveat, met, violated) in stateless() {
        let t = token([caveat.clone()]);
        for context in met {
            assert_eq!(verify(&t, &context), Ok(()), "{caveat:?} {context:?}");
        }
        for context in violated {
            let denied = Err(Denied::Violated(caveat.clone()));
            assert_eq!(verify(&t, &context), denied, "{context:?}");
        }
        let unknown = Context::new().fact("another key", "gold");
        assert!(
            matches!(verify(&t, &unknown), Err(Denied::Missing { caveat: c, .. }) if c == caveat),
            "{caveat:?}"
        );
    }
}

#[test]
fn the_counted_caveats_are_met_spent_or_without_a_counter() {
    let now = |n| Context::new().now(at(n));
    for (caveat, second_chance) in [(Caveat::MaxUses(2), None), (rate(2, 10), Some(15))] {
        let t = token([caveat.clone()]);
        let mut counts = Counts::default();
        let mut at = |n| t.verify(&KEY, &now(n), &mut counts);
        assert_eq!((at(5), at(6)), (Ok(()), Ok(())));
        assert_eq!(at(14), Err(Denied::Spent(caveat.clone())));
        match second_chance {
            Some(n) => assert_eq!(at(n), Ok(())),
            None => assert_eq!(at(u64::MAX), Err(Denied::Spent(caveat.clone()))),
        }
        let stateless = t.verify(&KEY, &now(5), &mut Stateless);
        assert_eq!(stateless, Err(Denied::Counter(Refused::NoCounter)));
    }
    let no_clock = verify(&token([rate(2, 10)]), &Context::new());
    assert!(matches!(
        no_clock,
        Err(Denied::Missing {
            what: "the time",
            ..
        })
    ));
    // A window that is too short to measure still is one.
    let t = token([rate(1, 0)]);
    let mut counts = Counts::default();
    assert_eq!(t.verify(&KEY, &now(5), &mut counts), Ok(()));
    assert!(t.verify(&KEY, &now(5), &mut counts).is_err());
}

#[test]
fn all_caveats_have_to_hold_and_a_denial_takes_no_use() {
    let t = token([Caveat::MaxUses(1), Caveat::NotAfter(at(10))]);
    let mut counts = Counts::default();
    let mut verify = |n| t.verify(&KEY, &Context::new().now(at(n)), &mut counts);
    assert!(matches!(verify(10), Err(Denied::Violated(_))));
    assert_eq!(verify(9), Ok(()));
    assert!(matches!(verify(9), Err(Denied::Spent(_))));
}

#[test]
fn narrowing_a_token_gives_no_new_uses() {
    let t = token([Caveat::MaxUses(2)]);
    let narrower = t.attenuate(Caveat::NotAfter(at(10))).unwrap();
    let (mut counts, context) = (Counts::default(), Context::new().now(at(1)));
    assert_eq!(t.verify(&KEY, &context, &mut counts), Ok(()));
    assert_eq!(narrower.verify(&KEY, &context, &mut counts), Ok(()));
    for spent in [&t, &narrower] {
        assert!(matches!(
            spent.verify(&KEY, &context, &mut counts),
            Err(Denied::Spent(_))
        ));
    }
    // Another token with the same caveat has uses of its own.
    let other = Macaroon::mint(&KEY, "another", "here").unwrap();
    let other = other.attenuate(Caveat::MaxUses(2)).unwrap();
    assert_eq!(other.verify(&KEY, &context, &mut counts), Ok(()));
}

#[test]
fn verifiers_that_share_a_counter_grant_the_uses_once() {
    let t = token([Caveat::MaxUses(100)]);
    let counter = Arc::new(Mutex::new(Counts::default()));
    let verifier = || {
        let (t, mut counter) = (t.clone(), counter.clone());
        move || {
            let granted = |_: &u32| t.verify(&KEY, &Context::new(), &mut counter).is_ok();
            (0..80).filter(granted).count()
        }
    };
    let granted: usize = std::thread::scope(|threads| {
        let both = [threads.spawn(verifier()), threads.spawn(verifier())];
        both.map(|v| v.join().unwrap()).iter().sum()
    });
    assert_eq!(granted, 100);
    assert_eq!(counter.lock().unwrap().len(), 1);
}

#[test]
fn another_key_denies_and_says_nothing_else() {
    let t = token([Caveat::NotAfter(at(0))]);
    let denied = t.verify(&SHARED, &Context::new().now(at(5)), &mut Stateless);
    assert_eq!(denied, Err(Denied::Signature));
}

/// A token taken apart by the documented form, and put together again.
#[derive(Clone)]
struct Parts {
    head: Vec<u8>,
    conditions: Vec<Vec<u8>>,
    signature: Vec<u8>,
}

impl Parts {
    fn of(token: &Macaroon) -> Self {
        let bytes = token.to_bytes();
        let u16_at = |at: usize| usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
        let location = 3 + u16_at(1);
        let mut at = location + 2 + u16_at(location);
        let head = bytes[..at].to_vec();
        let count = bytes[at];
        at += 1;
        let mut conditions = Vec::new();
        for _ in 0..count {
            let end = at + 2 + u16_at(at);
            conditions.push(bytes[at..end].to_vec());
            at = end;
        }
        let signature = bytes[at..].to_vec();
        assert_eq!(signature.len(), 32);
        Parts {
            head,
            conditions,
            signature,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let count = vec![u8::try_from(self.conditions.len()).unwrap()];
        [
            self.head.clone(),
            count,
            self.conditions.concat(),
            self.signature.clone(),
        ]
        .concat()
    }
}

/// A token of three caveats that hold in the context beside it.
fn triple() -> (Macaroon, Context) {
    let t = token([
        Caveat::NotBefore(at(1)),
        equals("tier", "gold"),
        Caveat::Resource("a/*".into()),
    ]);
    let context = Context::new().now(at(5)).fact("tier", "gold");
    (t, context.resource("a/b"))
}

#[test]
fn no_caveat_can_be_removed_reordered_added_or_taken_from_another_token() {
    let (t, context) = triple();
    let genuine = Parts::of(&t);
    assert_eq!(genuine.bytes(), t.to_bytes());
    let mut forged = Vec::new();
    for i in 0..3 {
        let mut p = genuine.clone();
        p.conditions.remove(i);
        forged.push(p);
        let mut p = genuine.clone();
        p.conditions.swap(i, (i + 1) % 3);
        forged.push(p);
        let mut p = genuine.clone();
        p.conditions.push(p.conditions[i].clone());
        forged.push(p);
        let mut p = genuine.clone();
        p.conditions.truncate(i);
        forged.push(p);
    }
    let mut p = genuine.clone();
    p.signature = Parts::of(&minted()).signature;
    forged.push(p);
    for p in forged {
        let read = Macaroon::from_bytes(&p.bytes()).expect("it is well-formed");
        assert_eq!(verify(&read, &context), Err(Denied::Signature));
    }
    assert_eq!(verify(&t, &context), Ok(()));
}

#[test]
fn no_bit_of_a_token_can_be_altered() {
    let (t, context) = triple();
    let bytes = t.to_bytes();
    // The location is a hint that nothing protects, as documented.
    let location = 3 + "subject".len()..3 + "subject".len() + 2 + "here".len();
    for bit in 0..bytes.len() * 8 {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let read = Macaroon::from_bytes(&altered);
        if location.contains(&(bit / 8)) {
            continue;
        }
        if let Ok(read) = read {
            assert_eq!(verify(&read, &context), Err(Denied::Signature), "bit {bit}");
        }
    }
}

#[test]
fn each_caveat_survives_the_binary_form() {
    let mut all: Vec<Caveat> = stateless().into_iter().map(|(c, ..)| c).collect();
    all.extend([Caveat::MaxUses(u64::MAX), rate(9, 10), equals("", "ü")]);
    let t = token(all.clone())
        .attenuate_third_party(&SHARED, [0, 255], "somewhere")
        .unwrap();
    let read = Macaroon::from_bytes(&t.to_bytes()).unwrap();
    assert_eq!(read.caveats().cloned().collect::<Vec<_>>(), all);
    assert_eq!((read.id(), read.location()), (&b"subject"[..], "here"));
    let thirds: Vec<_> = read
        .third_parties()
        .map(|t| (t.location(), t.id()))
        .collect();
    assert_eq!(thirds, [("somewhere", &[0, 255][..])]);
    assert_eq!(read.to_bytes(), t.to_bytes());
}

#[test]
fn what_is_over_long_is_rejected_in_both_directions() {
    let long = "x".repeat(MAX_TEXT + 1);
    let too_long = |r: Result<Macaroon, TooLong>| r.unwrap_err().len;
    assert_eq!(too_long(Macaroon::mint(&KEY, &long, "here")), MAX_TEXT + 1);
    assert_eq!(too_long(Macaroon::mint(&KEY, "id", &*long)), MAX_TEXT + 1);
    for c in [
        Caveat::Resource(long.clone()),
        equals(&long, ""),
        equals("", &long),
    ] {
        assert_eq!(too_long(minted().attenuate(c)), MAX_TEXT + 1);
    }
    for (id, location) in [(&*long, ""), ("", &*long)] {
        assert_eq!(
            too_long(minted().attenuate_third_party(&SHARED, id, location)),
            MAX_TEXT + 1
        );
    }
    let full = token(vec![Caveat::MaxUses(1); MAX_CAVEATS]);
    assert_eq!(
        too_long(full.attenuate(Caveat::MaxUses(1))),
        MAX_CAVEATS + 1
    );

    let is_too_long = |bytes: &[u8]| {
        let read = Macaroon::from_bytes(bytes);
        assert!(matches!(read, Err(Malformed::TooLong(_))), "{read:?}");
    };
    let mut p = Parts::of(&full);
    p.conditions.push(p.conditions[0].clone());
    is_too_long(&p.bytes());
    let mut p = Parts::of(&minted());
    p.head = [&[1], &[0xff; 2][..], &[0; 70_000]].concat();
    is_too_long(&p.bytes());
    // A pattern that nobody could have minted, behind a length that fits.
    let mut p = Parts::of(&minted());
    let len = u16::try_from(long.len() + 1).unwrap().to_be_bytes();
    p.conditions
        .push([&len[..], &[6], long.as_bytes()].concat());
    is_too_long(&p.bytes());
}

#[test]
fn what_is_malformed_says_how() {
    let bytes = token([equals("tier", "gold")]).to_bytes();
    let read = |bytes: &[u8]| Macaroon::from_bytes(bytes).unwrap_err();
    for len in 0..bytes.len() {
        assert_eq!(read(&bytes[..len]), Malformed::Truncated, "{len}");
    }
    assert_eq!(read(&[&bytes[..], b"??"].concat()), Malformed::Trailing(2));
    assert_eq!(read(&[&[2], &bytes[1..]].concat()), Malformed::Version(2));
    let with = |condition: &[u8]| {
        let mut p = Parts::of(&minted());
        let len = u16::try_from(condition.len()).unwrap().to_be_bytes();
        p.conditions.push([&len[..], condition].concat());
        read(&p.bytes())
    };
    assert_eq!(with(&[77]), Malformed::Unknown(77));
    assert_eq!(with(&[6, 0xff]), Malformed::Text);
    assert_eq!(with(&[5; 10]), Malformed::Trailing(1));
    assert_eq!(with(&[]), Malformed::Truncated);
}

fn caveat() -> impl Strategy<Value = Caveat> {
    let text = "[a-zß*/]{0,12}";
    prop_oneof![
        any::<u64>().prop_map(|t| Caveat::NotBefore(at(t))),
        any::<u64>().prop_map(|t| Caveat::NotAfter(at(t))),
        any::<(u32, u32)>().prop_map(|(s, g)| Caveat::InRegion(RegionId::new(s, g))),
        any::<(u32, u32)>().prop_map(|(s, g)| Caveat::InTask(TaskId::new(s, g))),
        any::<u64>().prop_map(Caveat::MaxUses),
        text.prop_map(Caveat::Resource),
        any::<(u32, u64)>().prop_map(|(uses, window)| rate(uses, window)),
        (text, text).prop_map(|(key, value)| equals(&key, &value)),
    ]
}

proptest! {
    /// There is one form of a token: whatever is read is written the same way.
    #[test]
    fn reading_is_the_inverse_of_writing(caveats in prop::collection::vec(caveat(), 0..9)) {
        let t = token(caveats.clone());
        let read = Macaroon::from_bytes(&t.to_bytes()).unwrap();
        prop_assert_eq!(read.to_bytes(), t.to_bytes());
        prop_assert_eq!(read.caveats().cloned().collect::<Vec<_>>(), caveats);
    }

    /// Whatever arrives, the decoder returns; what it accepts is canonical, and denied.
    #[test]
    fn arbitrary_bytes_are_no_token(
        caveats in prop::collection::vec(caveat(), 0..5),
        noise in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 1..9),
        cut: prop::sample::Index,
        random in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let genuine = token(caveats);
        let bytes = genuine.to_bytes();
        let mut noisy = bytes.clone();
        for (index, byte) in noise {
            let index = index.index(noisy.len());
            noisy[index] = byte;
        }
        let cut = bytes[..cut.index(bytes.len())].to_vec();
        let spliced = [&cut[..], &random].concat();
        for input in [noisy, cut, spliced, [&[1][..], &random].concat(), random.clone()] {
            if let Ok(read) = Macaroon::from_bytes(&input) {
                prop_assert_eq!(read.to_bytes(), &input[..]);
                let same = read.id() == genuine.id() && Parts::of(&read).conditions == Parts::of(&genuine).conditions
                    && Parts::of(&read).signature == Parts::of(&genuine).signature;
                let context = Context::new().now(at(1)).resource("a");
                let denied = read.verify(&KEY, &context, &mut Counts::default());
                prop_assert!(same || denied == Err(Denied::Signature));
            }
        }
    }
}

/// A token that needs the consent of another, and that consent.
fn consent() -> (Macaroon, Macaroon) {
    let t = minted().attenuate_third_party(&SHARED, "is it Ann?", "login");
    let consent = Macaroon::mint(&SHARED, "is it Ann?", "login");
    (t.unwrap(), consent.unwrap())
}

#[test]
fn a_third_party_consents_to_one_request_only() {
    let (t, consent) = consent();
    let with = |d: Discharge| verify(&t, &Context::new().discharge(d));
    let absent = Err(Denied::NoDischarge {
        location: "login".into(),
    });
    assert_eq!(with(t.bind(consent.clone())), Ok(()));
    assert_eq!(verify(&t, &Context::new()), absent, "nobody was asked");
    // As it was given, tied to nothing.
    let untied = Discharge::from_bytes(&consent.to_bytes()).unwrap();
    assert_eq!(with(untied), absent);
    // Tied to another token, here one that says less about the same subject.
    let narrower = t.attenuate(Caveat::MaxUses(1)).unwrap();
    assert_eq!(with(narrower.bind(consent.clone())), absent);
    let context = Context::new().discharge(narrower.bind(consent.clone()));
    assert_eq!(verify(&narrower, &context), Ok(()));
    // Given by somebody who does not know the key.
    let forged = Macaroon::mint(&KEY, "is it Ann?", "login").unwrap();
    assert_eq!(with(t.bind(forged.clone())), absent);
    // A forged one in front does not hide the genuine one.
    let both = Context::new().discharge(t.bind(forged));
    assert_eq!(verify(&t, &both.discharge(t.bind(consent.clone()))), Ok(()));
    // It travels like any token.
    let sent = Discharge::from_bytes(&t.bind(consent).to_bytes()).unwrap();
    assert_eq!(
        (sent.id(), with(sent.clone())),
        (&b"is it Ann?"[..], Ok(()))
    );
}

#[test]
fn a_discharge_has_caveats_of_its_own() {
    let (t, consent) = consent();
    let consent = consent.attenuate(Caveat::NotAfter(at(10))).unwrap();
    let context = |n| Context::new().now(at(n)).discharge(t.bind(consent.clone()));
    assert_eq!(verify(&t, &context(9)), Ok(()));
    let late = Err(Denied::Violated(Caveat::NotAfter(at(10))));
    assert_eq!(verify(&t, &context(10)), late);
    // And may pass the question on.
    let onward = Key::new([9; 32]);
    let consent = consent.attenuate_third_party(&onward, "two factors?", "phone");
    let consent = consent.unwrap();
    let answer = Macaroon::mint(&onward, "two factors?", "phone").unwrap();
    let context = |n| Context::new().now(at(n)).discharge(t.bind(consent.clone()));
    assert!(
        matches!(verify(&t, &context(9)), Err(Denied::NoDischarge { location }) if location == "phone")
    );
    assert_eq!(verify(&t, &context(9).discharge(t.bind(answer))), Ok(()));
}

#[test]
fn discharges_that_ask_for_each_other_come_to_an_end() {
    let (t, consent) = consent();
    let circular = consent.attenuate_third_party(&SHARED, "is it Ann?", "login");
    let context = Context::new().discharge(t.bind(circular.unwrap()));
    assert!(matches!(
        verify(&t, &context),
        Err(Denied::NoDischarge { .. })
    ));
}

#[test]
fn a_full_counter_denies() {
    struct Full;
    impl UseCounter for Full {
        fn take(
            &mut self,
            _: &[asupersync::cx::macaroon::Quota],
            _: Option<Time>,
        ) -> Result<(), Refused> {
            Err(Refused::Full)
        }
    }
    let denied = token([Caveat::MaxUses(1)]).verify(&KEY, &Context::new(), &mut Full);
    assert_eq!(denied, Err(Denied::Counter(Refused::Full)));
}

#[test]
fn a_token_for_a_task_is_of_no_use_to_another() {
    let lab = LabRuntime::new(LabConfig::default());
    lab.run(async |scope: Scope| {
        let own = token([
            Caveat::InTask(scope.task_id()),
            Caveat::InRegion(scope.region_id()),
            Caveat::NotAfter(scope.now() + Duration::from_secs(1)),
        ]);
        assert_eq!(verify(&own, &Context::of(&scope)), Ok(()));
        let stolen = own.clone();
        let other = scope.spawn(async move |cx| verify(&stolen, &Context::of(&cx)));
        let denied = other.await.into_result().unwrap();
        assert_eq!(
            denied,
            Err(Denied::Violated(Caveat::InTask(scope.task_id())))
        );
        scope.sleep(Duration::from_secs(1)).await.unwrap();
        let expired = verify(&own, &Context::of(&scope));
        assert!(matches!(
            expired,
            Err(Denied::Violated(Caveat::NotAfter(_)))
        ));
    });
}

#[test]
fn the_debug_form_does_not_give_the_signature_away() {
    let t = minted();
    let signature = &t.to_bytes()[t.to_bytes().len() - 32..];
    let text = format!("{t:?} {:?}", t.bind(t.clone()));
    assert!(
        !text.contains(&format!("{signature:?}")) && !text.contains("signature"),
        "{text}"
    );
}
