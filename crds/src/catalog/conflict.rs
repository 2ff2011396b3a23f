//! Which of several objects that claim the same is served: the oldest (`creationTimestamp`, then name).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::entry::{Claim, Entry, Id, Rank};
use super::index::Index;
use crate::selector::Selector;

/// Why an object is left out on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What both claim.
    pub claim: Claim,
    /// Who is served instead.
    pub winner: Id,
}

/// What a server offers, and what it leaves out.
#[derive(Debug, Default, PartialEq)]
pub struct Offers<'a> {
    /// Served, by kind and name.
    pub served: Vec<&'a Entry>,
    /// Left out, by kind and name.
    pub left_out: Vec<(&'a Entry, Conflict)>,
}

/// Settles which of the objects that `selector` picks up are served. Invalid ones neither win nor lose.
pub fn settle<'a>(index: &'a Index, selector: &'a Selector) -> Offers<'a> {
    let mut members: Vec<&Entry> = index.selected(selector).filter(|entry| contends(entry)).collect();
    members.sort_by_cached_key(|entry| entry.rank());
    let mut offers = greedy(members);
    offers.served.sort_by(|a, b| a.key.id.cmp(&b.key.id));
    offers.left_out.sort_by(|(a, _), (b, _)| a.key.id.cmp(&b.key.id));
    offers
}

/// Whether one object is served on a server with this selector, and if not, why. The answer is [`settle`]'s, found by
/// looking only at those with which the object contends, directly or through others.
pub fn standing(index: &Index, selector: &Selector, entry: &Entry) -> Result<(), Conflict> {
    let offers = greedy(contenders(index, selector, entry).into_values());
    let own = offers.left_out.into_iter().find(|(left_out, _)| left_out.key == entry.key);
    own.map_or(Ok(()), |(_, conflict)| Err(conflict))
}

/// Those with which an object contends on a server with this selector, directly or through others, and itself where it does
/// contend.
pub(super) fn contenders<'a>(
    index: &'a Index,
    selector: &Selector,
    entry: &'a Entry,
) -> BTreeMap<Rank, &'a Entry> {
    let mut contenders: BTreeMap<Rank, &Entry> = BTreeMap::new();
    let mut seen: BTreeSet<&Claim> = BTreeSet::new();
    let mut open: Vec<&Claim> = entry.claims.iter().map(|claimed| &claimed.claim).collect();
    while let Some(claim) = open.pop() {
        if !seen.insert(claim) {
            continue;
        }
        for contender in index.claimants(claim) {
            if selector.matches(&contender.labels) && contends(contender) {
                contenders.insert(contender.rank(), contender);
                open.extend(contender.claims.iter().map(|claimed| &claimed.claim));
            }
        }
    }
    contenders
}

const fn contends(entry: &Entry) -> bool {
    entry.valid && !entry.deleting
}

/// Goes from the oldest to the youngest; who finds a claim taken is left out whole, and takes nothing.
fn greedy<'a>(oldest_first: impl IntoIterator<Item = &'a Entry>) -> Offers<'a> {
    let mut taken: HashMap<&Claim, &Id> = HashMap::new();
    let mut offers = Offers::default();
    for entry in oldest_first {
        let conflict =
            entry.claims.iter().find_map(|claimed| Some((&claimed.claim, *taken.get(&claimed.claim)?)));
        match conflict {
            Some((claim, winner)) => {
                offers.left_out.push((entry, Conflict { claim: claim.clone(), winner: winner.clone() }));
            }
            None => {
                taken.extend(entry.claims.iter().map(|claimed| (&claimed.claim, &entry.key.id)));
                offers.served.push(entry);
            }
        }
    }
    offers
}
