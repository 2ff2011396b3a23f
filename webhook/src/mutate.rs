//! The mutating webhook: fills in defaults, and refuses with every error that any layer would find.

use std::time::Instant;

use mcp_crds::catalog::Catalog;
use mcp_crds::default;
use parking_lot::RwLock;

use crate::answer::Answer;
use crate::patch;
use crate::status::Named;
use crate::subject::Subject;

/// Decides. `named` says how a denial calls the object.
pub(crate) fn decide(
    mut subject: Subject<'_>,
    named: impl FnOnce(&Subject<'_>) -> Named,
    catalog: &RwLock<Catalog>,
    now: Instant,
) -> Answer {
    let before = subject.object.clone();
    default::apply(subject.kind, &mut subject.object, subject.old.as_ref());

    let mut findings = subject.check();
    let entry = subject.entry();
    findings.extend(subject.check_beside(&entry, &catalog.read(), now));

    let mut answer = Answer::of(findings, || named(&subject));
    if answer.refusal.is_none() {
        answer.patch = patch::between(&before, &subject.object);
    }
    answer
}
