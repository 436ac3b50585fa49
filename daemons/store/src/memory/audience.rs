//! The audience of one room, ordered in every way the port asks for.

use std::collections::{BTreeMap, BTreeSet};

use mobz_core::id::{NodeId, UserId};
use mobz_core::room::{Audience, HEIRS_KNOWN, Heir, Participant};
use mobz_core::store::{AUDIENCE_BATCH_MAX, Asked};
use mobz_core::time::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Members {
    by_user: BTreeMap<UserId, Participant>,
    by_order: BTreeSet<(u64, UserId)>,
    granted: BTreeSet<(u64, UserId)>,
    due: BTreeSet<(Timestamp, UserId)>,
    /// Those that are not away.
    at: BTreeMap<NodeId, BTreeSet<UserId>>,
}

impl Members {
    pub(super) fn is_empty(&self) -> bool {
        self.by_user.is_empty()
    }

    pub(super) fn secret(&self, user: &UserId) -> Option<&str> {
        self.by_user.get(user).map(|member| member.resume.as_str())
    }

    pub(super) fn audience(&self) -> Audience {
        let granted = self.granted.iter().map(|place| (place, true));
        let others = self.by_order.difference(&self.granted).map(|place| (place, false));
        let heir = |((order, user), by_grant): (&(u64, UserId), bool)| {
            let (user, order) = (user.clone(), *order);
            Heir { user, by_grant, order }
        };
        Audience {
            count: self.by_user.len() as u64,
            heirs: granted.chain(others).take(HEIRS_KNOWN).map(heir).collect(),
            due: self.due.first().map(|(at, _)| *at),
        }
    }

    pub(super) fn nodes(&self) -> Vec<NodeId> {
        self.at.keys().cloned().collect()
    }

    pub(super) fn asked(&self, asked: &Asked) -> Vec<Participant> {
        let found: Vec<&UserId> = match asked {
            Asked::Users(users) => users.iter().collect(),
            Asked::Due(now) => {
                let due = self.due.iter().take_while(|(at, _)| at <= now);
                due.map(|(_, user)| user).take(AUDIENCE_BATCH_MAX).collect()
            }
            Asked::At(node) => self.at.get(node).into_iter().flatten().take(AUDIENCE_BATCH_MAX).collect(),
            Asked::First(limit) => self.by_order.iter().map(|(_, user)| user).take(*limit).collect(),
        };
        found.into_iter().filter_map(|user| self.by_user.get(user)).cloned().collect()
    }

    pub(super) fn put(&mut self, member: Participant) {
        self.remove(&member.user);
        let user = member.user.clone();
        self.by_order.insert((member.order, user.clone()));
        if member.grants.owner {
            self.granted.insert((member.order, user.clone()));
        }
        if let Some(at) = member.due() {
            self.due.insert((at, user.clone()));
        }
        if !member.is_away() {
            self.at.entry(member.address.node.clone()).or_default().insert(user.clone());
        }
        self.by_user.insert(user, member);
    }

    pub(super) fn remove(&mut self, user: &UserId) {
        let Some(member) = self.by_user.remove(user) else { return };
        let place = (member.order, user.clone());
        self.by_order.remove(&place);
        self.granted.remove(&place);
        if let Some(at) = member.due() {
            self.due.remove(&(at, user.clone()));
        }
        if let Some(here) = self.at.get_mut(&member.address.node) {
            here.remove(user);
            if here.is_empty() {
                self.at.remove(&member.address.node);
            }
        }
    }
}
