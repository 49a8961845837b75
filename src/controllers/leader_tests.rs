//! The decisions of the election, with given times.

use super::*;

const LEASE: Duration = Duration::from_secs(15);

fn held_by(holder: &str, renewed_second: i64) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        renew_time: Some(MicroTime(Timestamp::from_second(renewed_second).unwrap())),
        acquire_time: Some(MicroTime(Timestamp::from_second(7).unwrap())),
        lease_transitions: Some(3),
        lease_duration_seconds: Some(15),
        ..LeaseSpec::default()
    }
}

fn seen(start: Instant, lease: Option<&LeaseSpec>) -> Seen {
    let mut seen = Seen::nothing(start);
    seen.note(start, lease);
    seen
}

#[test]
fn no_lease_is_created_and_a_free_one_is_taken() {
    let start = Instant::now();
    assert_eq!(decide(start, &seen(start, None), "me", LEASE), Decision::Create);
    let free = LeaseSpec { holder_identity: None, ..held_by("", 0) };
    assert_eq!(decide(start, &seen(start, Some(&free)), "me", LEASE), Decision::Take);
    assert_eq!(decide(start, &seen(start, Some(&held_by("", 0))), "me", LEASE), Decision::Take);
}

#[test]
fn our_own_lease_is_renewed_however_old() {
    let start = Instant::now();
    let seen = seen(start, Some(&held_by("me", 0)));
    assert_eq!(decide(start + LEASE * 9, &seen, "me", LEASE), Decision::Renew);
}

#[test]
fn a_silent_holder_is_waited_out_by_our_own_clock() {
    let start = Instant::now();
    // Its clock is years away; only that it does not change counts.
    for renewed in [0, 9_000_000_000] {
        let mut seen = seen(start, Some(&held_by("other", renewed)));
        assert_eq!(decide(start + LEASE - Duration::from_millis(1), &seen, "me", LEASE), Decision::Wait);
        assert_eq!(decide(start + LEASE, &seen, "me", LEASE), Decision::Take);
        seen.note(start + LEASE, Some(&held_by("other", renewed)));
        assert_eq!(decide(start + LEASE, &seen, "me", LEASE), Decision::Take);
        seen.note(start + LEASE, Some(&held_by("other", renewed + 2)));
        assert_eq!(decide(start + LEASE, &seen, "me", LEASE), Decision::Wait);
    }
}

#[test]
fn the_record_keeps_the_acquisition_and_counts_transitions() {
    let now = Timestamp::from_second(100).unwrap();
    let before = held_by("me", 50);
    let renewed = record(Decision::Renew, Some(&before), "me", LEASE, now).unwrap();
    assert_eq!(renewed.acquire_time, before.acquire_time);
    assert_eq!(renewed.lease_transitions, Some(3));
    assert_eq!(renewed.renew_time, Some(MicroTime(now)));
    let taken = record(Decision::Take, Some(&before), "you", LEASE, now).unwrap();
    assert_eq!(taken.acquire_time, Some(MicroTime(now)));
    assert_eq!(taken.lease_transitions, Some(4));
    assert_eq!(taken.holder_identity.as_deref(), Some("you"));
    assert_eq!(record(Decision::Create, None, "me", LEASE, now).unwrap().lease_transitions, Some(0));
    assert_eq!(record(Decision::Wait, Some(&before), "me", LEASE, now), None);
}

#[test]
fn jitter_is_bounded() {
    for _ in 0..100 {
        let pause = jittered(Duration::from_secs(2));
        assert!(pause >= Duration::from_secs(2) && pause < Duration::from_millis(2400), "{pause:?}");
    }
}

#[tokio::test]
async fn work_runs_while_leading_and_is_dropped_before_the_release() {
    struct Ends(watch::Sender<u32>);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.send_modify(|ended| *ended += 1);
        }
    }
    let (leads, receiver) = watch::channel(false);
    let busy = Arc::new(RwLock::new(()));
    let leadership = Leadership { leads: receiver, busy: Arc::clone(&busy) };
    let (started, mut starts) = watch::channel(0_u32);
    let (ended, ends) = watch::channel(0_u32);
    let task = tokio::spawn(leadership.while_leading(move || {
        let (started, ends) = (started.clone(), Ends(ended.clone()));
        async move {
            let _ends = ends;
            started.send_modify(|count| *count += 1);
            std::future::pending::<()>().await;
        }
    }));
    for term in 1..=2 {
        leads.send(true).unwrap();
        starts.wait_for(|count| *count == term).await.unwrap();
        leads.send(false).unwrap();
        // What the election does before it releases the Lease.
        drop(busy.write().await);
        assert_eq!(*ends.borrow(), term);
    }
    drop(leads);
    task.await.unwrap();
}
