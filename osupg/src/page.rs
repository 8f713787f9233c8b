//! Lists that can be long come in pages.
//!
//! A request says what it has seen last (`after`) and how much it takes (`limit`); the answer says
//! where to go on (`next`). A place in a list is a name or id and not a number, so that what comes
//! and goes meanwhile makes nothing be left out or shown twice.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::accounts::Sight;
use crate::error::{Error, Result};
use crate::operation::Operation;

/// The most that one page holds.
pub const LONGEST: u32 = 1_000;
/// What a page holds when nobody says how much.
const USUAL: u32 = 100;

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// What to ask for items after; none when the list ends here.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A page of no more than `limit` items, from those found when asking for one more than that.
    pub(crate) fn cut(mut found: Vec<T>, limit: u32, place: impl Fn(&T) -> &str) -> Self {
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let last = found.last().filter(|_| more);
        Self { next: last.map(|item| place(item).to_string()), items: found }
    }

    /// Leaves only what is about packages that are seen, in a list by their ids. Where to go on
    /// tells nothing of the others either.
    pub(crate) fn keep_seen(&mut self, sight: &Sight, id: impl Fn(&T) -> &str) {
        self.items.retain(|item| sight.sees(id(item)));
        self.next = self.next.take().and_then(|next| sight.right_before_next(&next));
    }
}

/// An operation that answers a page of a list.
pub trait Paged: Operation + Clone {
    /// The request for what comes after this answer, in the longest pages; none at the end.
    fn following(&self, answer: &Self::Outcome) -> Option<Self>;

    /// Puts a later answer to the end of those before it.
    fn append(answers: &mut Self::Outcome, later: Self::Outcome);
}

/// How many items a request asks for.
///
/// # Errors
/// When they are none, or more than a page holds.
pub(crate) fn limit(asked: Option<u32>) -> Result<u32> {
    match asked {
        None => Ok(USUAL),
        Some(limit @ 1..=LONGEST) => Ok(limit),
        Some(_) => Err(Error::usage(format!("a page holds 1 to {LONGEST} items"))
            .advise("what follows a page is asked for with `after`")),
    }
}

/// Makes a request that has `after` and `limit`, and answers a [`Page`], a [`Paged`] one.
macro_rules! paged {
    ($request:ty) => {
        impl $crate::page::Paged for $request {
            fn following(&self, answer: &Self::Outcome) -> Option<Self> {
                let mut following = self.clone();
                following.after = Some(answer.next.clone()?);
                following.limit = Some($crate::page::LONGEST);
                Some(following)
            }

            fn append(answers: &mut Self::Outcome, later: Self::Outcome) {
                answers.items.extend(later.items);
                answers.next = later.next;
            }
        }
    };
}
pub(crate) use paged;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_where_to_go_on() {
        let found = |letters: &str| letters.chars().map(String::from).collect::<Vec<_>>();
        let cut = |letters: &str| Page::cut(found(letters), 3, |item: &String| item);
        assert_eq!(cut("abcd"), Page { items: found("abc"), next: Some("c".into()) });
        assert_eq!(cut("abc"), Page { items: found("abc"), next: None });
        assert_eq!(cut(""), Page { items: Vec::new(), next: None });
    }

    #[test]
    fn pages_have_a_longest() {
        assert_eq!(limit(None).unwrap(), USUAL);
        assert_eq!(limit(Some(LONGEST)).unwrap(), LONGEST);
        for bad in [0, LONGEST + 1, u32::MAX] {
            assert!(limit(Some(bad)).is_err(), "{bad}");
        }
    }
}
