//! Three years of several replicas and API servers, at a clock that is moved: every handshake is a real verification of
//! what a replica shows, by what an API server trusts at that moment.
//!
//! What it is about: replicas read the Secret late or, for weeks, not at all; API servers take a bundle over late; replicas
//! are started again; the lease moves; nobody holds it for [`AWAY`]; the Secret is deleted; the bundle is emptied.

use super::super::replica::{Found, Replica};
use super::*;

const AWAY: SignedDuration = SignedDuration::from_hours(29 * 24);
const HOST: &str = "pratique.pratique-system.svc";
const YEARS: i64 = 3;

/// One API server: how late it is, and what it trusts.
#[derive(Debug, Clone)]
struct ApiServer {
    lag: SignedDuration,
}

#[derive(Debug, Clone)]
struct Member {
    replica: Replica,
    every: SignedDuration,
    next: Timestamp,
    /// Without an API server until then.
    cut_off: Timestamp,
}

#[derive(Debug, Clone)]
struct World {
    now: Timestamp,
    secret: Option<State>,
    /// All that the bundle ever was, with since when.
    bundles: Vec<(Timestamp, Vec<Authority>)>,
    servers: Vec<ApiServer>,
    members: Vec<Member>,
    holder: Option<usize>,
    /// Somebody emptied the bundle: nothing can be believed until it is back and API servers have taken it over.
    excused: Timestamp,
    /// What changed last, for the size of steps.
    changed: Timestamp,
    handshakes: usize,
    authorities: Vec<Authority>,
    leaves: usize,
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(days * 24)
}

fn new_member(every: i64, now: Timestamp) -> Member {
    let replica = Replica::new(Subject::new(HOST.to_owned()));
    Member { replica, every: seconds(every), next: now, cut_off: now }
}

impl World {
    fn new(lags: &[i64], looks: &[i64]) -> Self {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        Self {
            now,
            secret: None,
            bundles: vec![(now - days(1), Vec::new())],
            servers: lags.iter().map(|lag| ApiServer { lag: seconds(*lag) }).collect(),
            members: looks.iter().map(|every| new_member(*every, now)).collect(),
            holder: Some(0),
            // The first bundle is no rotation.
            excused: now + seconds(600),
            changed: now,
            handshakes: 0,
            authorities: Vec::new(),
            leaves: 0,
        }
    }

    fn bundle(&self) -> &[Authority] {
        &self.bundles.last().unwrap().1
    }

    fn trusts(&self, server: &ApiServer) -> &[Authority] {
        let then = self.now - server.lag;
        &self.bundles.iter().rev().find(|(since, _)| *since <= then).unwrap().1
    }

    fn put_bundle(&mut self, mut bundle: Vec<Authority>) {
        bundle.iter_mut().for_each(Authority::forget_key);
        self.bundles.push((self.now, bundle));
        self.changed = self.now;
    }

    /// What a keeper does at each look.
    fn look(&mut self, at: usize) {
        let now = self.now;
        let member = &mut self.members[at];
        if now < member.next || now < member.cut_off {
            return;
        }
        member.next = now + member.every;
        let trusted = self.bundles.last().unwrap().1.clone();
        let replica = &mut self.members[at].replica;
        replica.look(now, &trusted);
        // As `Stored::examine` sees it.
        let mut state = self.secret.clone();
        let mut whole = true;
        if let Some(state) = &mut state {
            let leaf = state.leaf.take_if(|leaf| !leaf.is_believed(&state.authorities, HOST, now));
            whole = leaf.is_none() && state.leaf.is_some() && state.authorities.iter().any(Authority::can_issue);
        }
        let found = state.as_ref().map(|state| Found { state, whole });
        if replica.take(now, found).is_some() {
            self.changed = now;
        }
        let leads = self.holder == Some(at);
        if !leads && !replica.starts_anew() {
            return;
        }
        let due = replica.due(now, found).unwrap();
        if state.as_ref() != Some(&due) || !whole {
            self.changed = now;
            self.leaves += usize::from(self.secret.as_ref().and_then(|state| state.leaf.as_ref()) != due.leaf.as_ref());
            let new = due.authorities.iter().filter(|authority| !self.authorities.contains(authority));
            self.authorities.extend(new.cloned().collect::<Vec<_>>());
            replica.take(now, Some(Found { state: &due, whole: true }));
            self.secret = Some(due.clone());
        }
        if leads && trusted != due.authorities {
            self.put_bundle(due.authorities);
        }
    }

    fn shake_hands(&mut self) {
        for (at, member) in self.members.iter().enumerate() {
            if member.replica.is_not_believed_yet() || self.now < self.excused {
                continue;
            }
            let leaf = member.replica.shown.as_ref().unwrap();
            for server in &self.servers {
                let trusted = self.trusts(server);
                assert!(
                    leaf.is_believed(trusted, HOST, self.now),
                    "at {}: replica {at} shows {leaf:?}, an API server {} late trusts {trusted:?}, the Secret is {:?}",
                    self.now,
                    server.lag,
                    self.secret
                );
                self.handshakes += 1;
            }
        }
    }

    fn look_and_shake_hands(&mut self) {
        for at in 0..self.members.len() {
            self.look(at);
        }
        self.shake_hands();
    }

    /// Seconds near changes, minutes after them, hours else.
    fn step(&mut self) {
        let quiet = self.changed.duration_until(self.now);
        let most = if quiet < seconds(120) {
            seconds(7)
        } else if quiet < seconds(30 * 60) {
            seconds(61)
        } else {
            SignedDuration::from_hours(9)
        };
        self.now += most;
        self.look_and_shake_hands();
    }

    fn run_until(&mut self, end: Timestamp) {
        while self.now < end {
            self.step();
        }
    }

    /// Nobody looks and nobody writes.
    fn away(&mut self, long: SignedDuration) {
        self.now += long;
        self.shake_hands();
        // Back: one after another, as clusters come back.
        self.changed = self.now;
        for member in &mut self.members {
            member.next = self.now;
        }
        for _ in 0..30 {
            self.step();
        }
    }

    fn restart(&mut self, at: usize) {
        self.members[at] = new_member(i64::try_from(at).unwrap() * 20 + 5, self.now);
        self.changed = self.now;
    }
}

/// Numbers that look random, the same at every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn which(&mut self, of: usize) -> usize {
        usize::try_from(self.roll(u64::try_from(of).unwrap())).unwrap()
    }
}

#[test]
fn in_three_years_no_handshake_fails() {
    let mut world = World::new(&[0, 1, 300], &[5, 45, 240]);
    let (end, mut dice) = (world.now + days(365 * YEARS), Dice(7));
    world.run_until(world.now + seconds(3600));
    while world.now < end {
        world.step();
        match dice.roll(60) {
            0 => world.restart(dice.which(3)),
            1 => world.holder = Some(dice.which(3)),
            2 => {
                let (at, long) = (dice.which(3), i64::try_from(dice.roll(29)).unwrap());
                world.members[at].cut_off = world.now + days(long);
                // The lease of a replica without an API server is taken over.
                world.holder = Some((at + 1) % 3);
                world.members[(at + 1) % 3].cut_off = world.now;
            }
            _ => {}
        }
    }
    assert!(world.authorities.len() >= 5, "{} CAs", world.authorities.len());
    assert!(world.leaves >= 18, "{} leaves", world.leaves);
    assert!(world.handshakes > 20_000, "{} handshakes", world.handshakes);
    assert!(world.bundle().len() <= 2, "{:?}", world.bundle());
}

#[test]
fn whenever_it_begins_nobody_may_keep_certificates_for_a_month_less_a_day() {
    let mut world = World::new(&[0, 300], &[5, 240]);
    let end = world.now + days(365);
    world.run_until(world.now + seconds(3600));
    let mut next = world.now;
    while world.now < end {
        world.step();
        // Every fifth day, and at every moment of a change.
        if world.now >= next {
            next = world.now + days(5);
            let mut other = world.clone();
            other.away(AWAY);
            // Twice in a row, with an hour in between.
            other.run_until(other.now + seconds(3600));
            other.away(AWAY);
        }
        if world.changed == world.now {
            world.clone().away(AWAY);
        }
    }
}

#[test]
fn a_secret_that_is_deleted_comes_back_with_a_new_ca_and_no_handshake_fails() {
    for restarted in [None, Some(0), Some(1)] {
        // A newcomer who knows nothing of what was may be the first to look: then a leaf comes with its CA, and API
        // servers may be as late as SETTLE allows for, no later.
        let late = if restarted == Some(0) { 25 } else { 300 };
        let mut world = World::new(&[0, late], &[5, 240]);
        world.run_until(world.now + days(20));
        let before = world.authorities.len();
        world.secret = None;
        world.changed = world.now;
        if let Some(at) = restarted {
            world.restart(at);
            world.holder = Some(1 - at);
        }
        world.run_until(world.now + days(1));
        assert_eq!(world.authorities.len(), before + 1, "{restarted:?}");
        assert_eq!(world.bundle().len(), 2, "{restarted:?}");
        let newest = world.authorities.last().unwrap().clone();
        assert!(world.members[0].replica.shown.as_ref().unwrap().is_believed([&newest], HOST, world.now));
        world.run_until(world.now + days(150));
        assert_eq!(world.bundle(), [newest].as_slice(), "{restarted:?}");
    }
}

#[test]
fn a_newcomer_that_makes_the_secret_anew_is_not_ready_before_it_is_believed() {
    // The lease is held by nobody who could bring the Secret back, and API servers are as late as we allow for here.
    let mut world = World::new(&[0, 25], &[5, 240]);
    world.run_until(world.now + days(20));
    world.secret = None;
    world.holder = None;
    world.restart(0);
    for _ in 0..20 {
        world.step();
    }
    let made = world.secret.clone().unwrap();
    assert_eq!(made.authorities.len(), 2, "who answers stays trusted");
    assert!(world.members[0].replica.is_not_believed_yet());
    world.holder = Some(1);
    world.run_until(world.now + days(1));
    assert!(!world.members[0].replica.is_not_believed_yet());
    assert!(world.members.iter().all(|member| member.replica.shown == made.leaf));
}

#[test]
fn the_first_bundle_of_all_makes_no_replica_unready() {
    let mut world = World::new(&[0], &[5, 7]);
    while world.now < world.excused {
        world.step();
        let showing = world.members.iter().filter(|member| member.replica.shown.is_some());
        assert!(showing.clone().all(|member| !member.replica.is_not_believed_yet()), "{:?}", world.bundle());
    }
    assert_eq!(world.bundle().len(), 1);
}

#[test]
fn an_emptied_bundle_comes_back_at_the_next_look() {
    let mut world = World::new(&[0, 1], &[5, 5]);
    // Through rotations of leaf and CA.
    for _ in 0..60 {
        world.run_until(world.now + days(5));
        let before = world.bundle().to_vec();
        world.put_bundle(Vec::new());
        world.excused = world.now + seconds(9);
        world.step();
        world.step();
        assert!(!world.bundle().is_empty());
        assert!(before.iter().filter(|authority| authority.until() > world.now).all(|old| {
            world.bundle().contains(old) || world.secret.as_ref().is_some_and(|state| !state.authorities.contains(old))
        }));
    }
}

#[test]
fn a_leaf_never_outlives_its_ca_and_is_for_all_our_names() {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let state = State::default().advanced(now, &Subject::new(HOST.to_owned()), &Seen::default()).unwrap();
    let leaf = state.leaf.unwrap();
    for name in [HOST, "pratique.pratique-system.svc.cluster.local", "localhost", "127.0.0.1", "::1"] {
        assert!(leaf.is_believed(&state.authorities, name, now), "{name}");
    }
    assert!(!leaf.is_believed(&state.authorities, "pratique.other.svc", now));
    let authority = &state.authorities[0];
    let late = authority.until() - days(3);
    let last = authority.issue(&[HOST.to_owned()], late, late + LEAF).unwrap();
    assert_eq!(last.until(), authority.until());
}

#[test]
fn cas_do_not_pile_up_where_the_secret_is_deleted_again_and_again() {
    let mut world = World::new(&[0], &[5]);
    for _ in 0..20 {
        world.run_until(world.now + seconds(1800));
        world.secret = None;
        world.changed = world.now;
    }
    world.run_until(world.now + seconds(1800));
    assert!(world.bundle().len() <= MOST_AUTHORITIES, "{}", world.bundle().len());
}
