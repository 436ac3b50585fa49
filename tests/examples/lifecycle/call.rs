//! A call: some publish, all watch all who do.

use std::time::{Duration, Instant};

use mobz_tests::eventually;

use crate::person::Person;
use crate::site::{Site, munit_of};

/// The time between two pictures of a publisher.
pub(crate) const PICTURE_EVERY: Duration = Duration::from_millis(33);
/// How many pictures everybody has seen of everybody before something is done to the call, and after it.
const SETTLED: usize = 45;

pub(crate) struct Call {
    /// The first ones publish.
    pub(crate) people: Vec<Person>,
    pub(crate) publishers: usize,
}

impl Call {
    /// People meet; returns once all see all.
    pub(crate) async fn start(site: &Site, room: &str, publishers: usize, viewers: usize) -> Self {
        let mut people = Vec::new();
        for number in 0..publishers + viewers {
            let is_publisher = number < publishers;
            let user = format!("{}{number}", if is_publisher { "p" } else { "v" });
            let person = Person::join(&site.stack, room, &user, is_publisher).await;
            if is_publisher {
                // One after another: so they are spread over the munits.
                eventually("it has its station", async || person.station()).await;
            }
            people.push(person);
        }
        let call = Self { people, publishers };
        call.flows().await;
        call
    }

    /// Everybody who watches, with everybody who is watched.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&Person, &Person)> {
        let publishers = &self.people[..self.publishers];
        let pairs =
            self.people.iter().flat_map(move |person| publishers.iter().map(move |other| (person, other)));
        pairs.filter(|(person, other)| person.user != other.user)
    }

    /// Waits until everybody has seen some more of everybody.
    pub(crate) async fn flows(&self) {
        let since = Instant::now();
        for (person, publisher) in self.pairs() {
            let what = format!("{} sees {}", person.user, publisher.user);
            eventually(&what, async || {
                let pictures = person.shown(&publisher.user).pictures;
                let count = pictures.iter().filter(|picture| picture.at >= since).count();
                (count >= SETTLED).then_some(())
            })
            .await;
        }
    }

    /// The munit of the first publisher.
    pub(crate) fn munit(&self) -> String {
        munit_of(&self.people[0].station().unwrap())
    }

    /// How many pictures did not come to somebody, each connection's first and last ones aside.
    pub(crate) fn lost(&self) -> f64 {
        self.pairs().map(|(person, publisher)| person.shown(&publisher.user).lost as f64).sum()
    }

    pub(crate) async fn end(self) {
        for person in self.people {
            person.leave().await;
        }
    }
}
