//! The validating webhook: the same rules on the object as it will be stored, and the place where a name is
//! taken.

use std::time::Instant;

use mcp_crds::catalog::Catalog;
use parking_lot::RwLock;

use crate::answer::Answer;
use crate::status::Named;
use crate::subject::Subject;

/// Decides. `named` says how a denial calls the object.
///
/// What is allowed is reserved in the catalog in one step with the question whether it is free, so of two
/// writers at once one is refused. A dry run takes nothing.
pub(crate) fn decide(
    mut subject: Subject<'_>,
    named: impl FnOnce(&Subject<'_>) -> Named,
    catalog: &RwLock<Catalog>,
    now: Instant,
) -> Answer {
    let mut findings = subject.check();
    let entry = subject.entry();
    if subject.dry_run || !findings.errors.is_empty() {
        findings.extend(subject.check_beside(&entry, &catalog.read(), now));
    } else {
        let mut catalog = catalog.write();
        findings.extend(subject.check_beside(&entry, &catalog, now));
        if findings.errors.is_empty() {
            catalog.reserve(entry, now);
        }
    }
    Answer::of(findings, || named(&subject))
}
